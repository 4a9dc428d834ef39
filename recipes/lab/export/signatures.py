"""The signatures of an export: graphs from raw pixels to answers, with guards.

A SavedModel's signature checks the type of what it gets and nothing else, so
each of these checks the shape and that there is something at all.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import zoo
from recipes.lab.errors import RecipeError
from recipes.lab.inputs import image_files


class Signature(NamedTuple):
    """One signature, with what it takes to verify it.

    Attributes:
        function: The `tf.function`, from its arguments to a dictionary.
        ask: Function from uint8 images to the arguments, by name, as arrays.
        expect: Function from the same images to the outputs, by name, as the
            Keras model and NumPy have them.
    """

    function: Callable
    ask: Callable
    expect: Callable


def classifier(model: keras.Model, class_names) -> dict[str, Signature]:
    """Return the signatures of a classifier.

    - `serving_default`: `image` uint8 `(batch, height, width, channels)`
    - `image_bytes`: `image_bytes` string `(batch,)`, PNG or JPEG files

    Both return `probabilities` float32 `(batch, num_classes)`, `class_id` int64
    `(batch,)` and `class_name` string `(batch,)`.

    Args:
        model: A model from raw pixels to probabilities.
        class_names: Name of each class.

    Returns:
        The signatures by name.
    """
    shape = model.input_shape[1:]
    names = tf.constant(class_names)

    def answer(images):
        probabilities = model(tf.cast(images, tf.float32), training=False)
        class_id = tf.argmax(probabilities, axis=-1)
        return {
            "probabilities": probabilities,
            "class_id": class_id,
            "class_name": tf.gather(names, class_id),
        }

    def expect(images):
        probabilities = model(images, training=False).numpy()
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
            raise RecipeError(
                "The outputs of the model are no probabilities: they do not "
                "sum to 1. Was it built without its classifier_activation?"
            )
        class_id = probabilities.argmax(axis=1)
        return {
            "probabilities": probabilities,
            "class_id": class_id,
            "class_name": np.array(class_names)[class_id],
        }

    @_guarded(image=tf.TensorSpec((None, *shape), tf.uint8))
    def serving_default(image):
        return answer(image)

    @_guarded(image_bytes=tf.TensorSpec((None,), tf.string))
    def image_bytes(image_bytes):
        images = tf.map_fn(
            lambda contents: image_files.decode(contents, shape),
            image_bytes,
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )
        return answer(images)

    return {
        "serving_default": Signature(serving_default, _images, expect),
        "image_bytes": Signature(image_bytes, _png_files, expect),
    }


def autoencoder(model: keras.Model) -> dict[str, Signature]:
    """Return the signatures of an autoencoder.

    - `serving_default` and `reconstruct`: `image` uint8 `(batch, height, width,
      channels)` to `reconstruction` and `image`
    - `encode`: `image` to `code` float32 `(batch, latent_dim)`
    - `decode`: `code` to `reconstruction` and `image`

    A `reconstruction` is float32 in [0, 1]; `image` is the same as uint8
    pixels, which another model accepts.

    Args:
        model: A model from raw pixels to pictures, with an `encoder` and a
            `decoder`.

    Returns:
        The signatures by name.
    """
    shape = model.input_shape[1:]
    encoder, decoder = zoo.feature_extractor(model), model.get_layer("decoder")

    def answer(pictures):
        pictures = tf.clip_by_value(pictures, 0.0, 1.0)
        pixels = tf.cast(tf.round(255 * pictures), tf.uint8)
        return {"reconstruction": pictures, "image": pixels}

    def expect(images):
        pictures = np.clip(model(images, training=False).numpy(), 0, 1)
        pixels = np.round(255 * pictures).astype("uint8")
        return {"reconstruction": pictures, "image": pixels}

    def codes_of(images):
        return {"code": encoder(images, training=False).numpy()}

    @_guarded(image=tf.TensorSpec((None, *shape), tf.uint8))
    def reconstruct(image):
        return answer(model(tf.cast(image, tf.float32), training=False))

    @_guarded(image=tf.TensorSpec((None, *shape), tf.uint8))
    def encode(image):
        return {"code": encoder(tf.cast(image, tf.float32), training=False)}

    @_guarded(code=tf.TensorSpec(decoder.input_shape, tf.float32))
    def decode(code):
        code = tf.debugging.check_numerics(code, "code must be finite")
        return answer(decoder(code, training=False))

    return {
        "serving_default": Signature(reconstruct, _images, expect),
        "reconstruct": Signature(reconstruct, _images, expect),
        "encode": Signature(encode, _images, codes_of),
        "decode": Signature(decode, codes_of, expect),
    }


# --- what goes in -------------------------------------------------------


def _guarded(**specification):
    """Make a `tf.function` of one argument, of that name and specification."""
    [(name, spec)] = specification.items()
    spec = tf.TensorSpec(spec.shape, spec.dtype, name=name)

    def decorate(function):
        @tf.function(input_signature=[spec], autograph=False)
        def guarded(batch):
            return function(_at_least_one(tf.ensure_shape(batch, spec.shape)))

        return guarded

    return decorate


def _images(images):
    return {"image": images}


def _png_files(images):
    files = [tf.io.encode_png(image).numpy() for image in images]
    return {"image_bytes": np.array(files)}


def _at_least_one(batch):
    check = tf.debugging.assert_positive(
        tf.shape(batch)[0], message="the batch is empty; send one or more"
    )
    with tf.control_dependencies([check]):
        return tf.identity(batch)
