"""What `keras.json` and `keras.config` may say without harm to a model."""

import contextlib

import keras

HALVES = ("float16", "bfloat16")


@contextlib.contextmanager
def for_building():
    """Build with channels last, as images are here, whatever Keras is told.

    Raises:
        ValueError: If weights would be of half precision, in which the small
            steps of training are lost.
    """
    told = {keras.config.floatx(), keras.config.dtype_policy().variable_dtype}
    if halves := told.intersection(HALVES):
        raise ValueError(
            f"Keras is set to {' and '.join(sorted(halves))} weights, in which "
            "the steps of training are lost. Put float32 into `floatx` of "
            "keras.json or call keras.config.set_floatx('float32') and "
            "keras.config.set_dtype_policy('float32'); for speed, "
            "'mixed_bfloat16' or 'mixed_float16' is the policy."
        )
    told = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(told)
