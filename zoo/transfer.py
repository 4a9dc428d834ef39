"""Transfer learning: what one network has learned, put to work in another.

`transfer_classifier` puts a new head on a trained body, the backbone. What
takes models apart for it is in `zoo/_surgery.py`.
"""

import difflib
import os
import warnings
from pathlib import Path

import keras
from keras import layers, ops

from zoo import _loading
from zoo._registry import create_model, list_models, register_model
from zoo._surgery import (
    check_classes,
    copy_of,
    feature_extractor,
    functional,
    layers_by_path,
    unknown_layer,
)

MODES = ("frozen", "partial", "full")


@keras.saving.register_keras_serializable(package="zoo")
class Backbone(keras.Model):
    """A functional model in inference mode while its `trainable` is false.

    In inference mode there is no dropout, and batch normalization goes by
    the statistics that it came with. Saying `training=False` when the backbone
    is called is not enough: Keras lets the `training` of the outer model win.
    """

    def call(self, inputs, training=None, mask=None):
        if not self.trainable:
            training = False
        return super().call(inputs, training=training, mask=mask)


@keras.saving.register_keras_serializable(package="zoo")
class SquareResizing(layers.Layer):
    """Resize images to a square, whatever their shape was.

    Keras' own `Resizing` will not do: in `model(images)`, where nobody says
    whether it is for training, it makes all layers after it train, so that
    they drop features and change their statistics.

    Args:
        side: Height and width that the images get, in pixels.
    """

    def __init__(self, side, **kwargs):
        super().__init__(**kwargs)
        self.side = side

    def call(self, images):
        return ops.image.resize(
            images, (self.side, self.side), data_format="channels_last"
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.side, self.side, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "side": self.side}


@keras.saving.register_keras_serializable(package="zoo")
class Grey(layers.Layer):
    """Make grey of red, green and blue: what they give to how bright we see."""

    SHARES = (0.299, 0.587, 0.114)  # of ITU-R BT.601, as in JPEG

    def call(self, images):
        images = ops.cast(images, self.compute_dtype)
        shares = ops.convert_to_tensor(self.SHARES, self.compute_dtype)
        return ops.sum(images * shares, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="zoo")
class ApplicationPreprocessing(layers.Layer):
    """Turn raw color pixels into what a network of keras.applications takes.

    Args:
        application: Name of the network, such as `"MobileNetV2"`.
    """

    preprocesses = True

    def __init__(self, application, **kwargs):
        super().__init__(**kwargs)
        if application not in _applications():
            raise ValueError(
                "`application` must be a network of keras.applications. "
                f"Received: {application!r}"
            )
        self.application = application
        network = getattr(keras.applications, application)
        family = network.__module__.rpartition(".")[2]
        self._preprocess = getattr(keras.applications, family).preprocess_input

    def call(self, pixels):
        # Keras preprocesses in place, which on PyTorch would reach the images.
        return self._preprocess(ops.copy(pixels), data_format="channels_last")

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "application": self.application}


@register_model(
    task="classification",
    inputs="images",
    lecture="transfer learning: three ways to use a trained network",
    reference="Yosinski, Clune, Bengio and Lipson 2014",
)
def transfer_classifier(
    input_shape=(28, 28, 1),
    num_classes=10,
    *,
    backbone="cnn",
    weights=None,
    mode="frozen",
    thaw=(),
    image_size=None,
    synchronized=False,
    classifier_activation="softmax",
    name="transfer_classifier",
):
    """Build a classifier from a trained network and a new head.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | backbone    | 128    | (frozen)   |
    | predictions | 10     | 1,290      |
    | sum         |        | 1,290      |

    The backbone is the network up to its features, which are what enters its
    `predictions` layer; where that has no weights, as in LeNet-5 of 1998, what
    enters the last layer that has. The features of an autoencoder are what
    its encoder gives.

    There are three ways, by `mode`.

    - `"frozen"` trains the head only. The backbone is in inference mode: no
      dropout, and batch normalization keeps its statistics.
    - `"partial"` trains the head and the layers of the backbone in `thaw`, or
      its last convolution or dense layer and what comes after that.
    - `"full"` trains everything, from the backbone's weights.

    To train the head first and everything later, build both models with equal
    arguments but for the mode; `second.set_weights(first.get_weights())`.

    Raw pixels go in whatever the backbone: ours rescale them themselves, for
    those of keras.applications the model does the network's own preprocessing.
    Where a trained backbone takes other images, the model makes them fit: it
    resizes them, makes grey of color, or gives grey three channels.

    Args:
        num_classes: Number of classes, two or more.
        backbone: Name of a model of this package; name of a network of
            keras.applications; name or path of an export, as for
            `zoo.load_model`, such as `"mnist_cnn@shipped"`; or a functional
            `keras.Model`, which is copied and never changed. Looked up in this
            order.
        weights: A file that `save_weights` wrote, for the backbone: for a model
            of this package the weights of the whole model with its default
            arguments, for keras.applications those of the network without its
            top. For keras.applications also `"imagenet"`, which Keras
            downloads. `None` leaves an export or a model as it is trained, and
            starts the others at random.
        mode: `"frozen"`, `"partial"` or `"full"`.
        thaw: Names of the backbone's layers that `"partial"` trains; a layer
            of a sub-model is `"encoder/hidden1"`, and `"encoder"` all of them.
            `()`, the default, trains its last ones.
        image_size: Side in pixels to which images are resized. `None` is what
            the backbone takes: of an export or a model that is at hand its own
            size, of keras.applications 96, else the size that they have.
        synchronized: Whether batch normalization that is trained takes its
            statistics over all replicas; see `cnn`.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is none of its choices, arguments contradict
            each other, or the backbone takes no such images.
        FileNotFoundError: If there is no such file of weights.
        ConnectionError: If the ImageNet weights cannot be downloaded.

    Example:
    >>> model = zoo.create_model("transfer_classifier", backbone="mnist_cnn",
    ...     mode="partial", thaw=("hidden1", "norm3"))

    Reference:
    - J. Yosinski, J. Clune, Y. Bengio, H. Lipson, How transferable are features
      in deep neural networks?, 2014.
    """
    check_classes(num_classes)
    thaw = (thaw,) if isinstance(thaw, str) else tuple(thaw)
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: {mode!r}")
    if thaw and mode != "partial":
        raise ValueError(
            "`thaw` names the layers that mode='partial' trains besides the "
            "head, and goes with no other mode. "
            f"Received: mode={mode!r}, thaw={thaw}"
        )
    if image_size is not None and image_size < 1:
        raise ValueError(
            f"`image_size` must be 1 or more. Received: {image_size}"
        )

    kind = _kind_of(backbone)
    image = keras.Input(input_shape, name="image")
    if kind == "application":
        side = image_size or 96
        x = _fitting(image, (side, side, 3), backbone)
        x = ApplicationPreprocessing(backbone, name="preprocessing")(x)
        body = _application_body(backbone, x.shape[1:], weights)
    else:
        if kind == "zoo":
            sides = [image_size] * 2 if image_size else input_shape[:2]
            model = _zoo_model(backbone, (*sides, *input_shape[2:]))
        elif kind == "export":
            model = _loading.load_model(backbone)
        else:
            model = copy_of(functional(backbone))
        shape = _shape_for(model, image.shape[1:], image_size)
        x = _fitting(image, shape, model.name)
        body = _body_of(model, backbone, weights)
    _set_trainable(body, mode, thaw)
    if synchronized:
        _synchronize(body)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(body(x))
    return keras.Model(image, outputs, name=name)


def _kind_of(backbone):
    """Say what a backbone is, in the order of looking it up."""
    if isinstance(backbone, keras.Model):
        return "model"
    name = os.fspath(backbone) if isinstance(backbone, Path) else backbone
    if name == "transfer_classifier":
        raise ValueError(
            "'transfer_classifier' cannot be its own backbone; give a model "
            "that was built and trained instead of the name."
        )
    if name in list_models(inputs="images"):
        return "zoo"
    if name in _applications():
        return "application"
    if isinstance(name, str) and name:
        try:
            _loading.find_export(name)
        except FileNotFoundError:
            pass
        else:
            return "export"
    known = {model.lower(): model for model in _backbones()}
    close = difflib.get_close_matches(str(name).lower(), known)
    hint = f" Did you mean {' or '.join(known[c] for c in close)}?"
    raise ValueError(
        f"Unknown backbone {name!r}.{hint if close else ''} It may be a model "
        "of this package (`python -m zoo` lists them), a network of "
        "keras.applications, the name or path of an export, or a keras.Model."
    )


def _backbones():
    """Return all names that a backbone may have."""
    ours = list_models(inputs="images")
    ours.remove("transfer_classifier")
    return dict.fromkeys(ours + _applications() + _loading.families())


def _applications():
    """Return the names of the networks of keras.applications."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def _zoo_model(name, shape):
    try:
        return create_model(name, input_shape=shape)
    except ValueError as error:
        raise ValueError(_no_such_images(name, shape, error)) from error


def _shape_for(model, shape, image_size):
    """Return the shape of the images that a model is to get.

    Args:
        model: The backbone, whole.
        shape: That of the images that there are.
        image_size: Side that they are to have, or None.
    """
    takes = model.input_shape[1:] if len(model.inputs) == 1 else ()
    if len(takes) != 3 or takes[-1] is None:
        raise ValueError(
            f"The backbone {model.name!r} does not take images. "
            f"Received: a model of inputs {model.input_shape}"
        )
    *sides, channels = takes
    if image_size and any(side not in (None, image_size) for side in sides):
        raise ValueError(
            f"The backbone {model.name!r} takes images of "
            f"{sides[0]}x{sides[1]} pixels, to which the model resizes others "
            "without being told: leave `image_size` out. "
            f"Received: {image_size}"
        )
    height, width = (
        side or image_size or given
        for side, given in zip(sides, shape, strict=False)
    )
    return height, width, channels


def _fitting(images, shape, backbone):
    """Resize and recolor images to the shape that a backbone takes."""
    height, width, channels = shape
    x = images
    if (x.shape[-1], channels) == (3, 1):
        x = Grey(name="grey")(x)
    if x.shape[1:3] != (height, width):
        if height != width:
            raise ValueError(
                f"The backbone {backbone!r} takes images of {height}x{width} "
                "pixels, which are no square, and images are resized to "
                f"squares only. Received: {x.shape[1]}x{x.shape[2]} pixels"
            )
        x = SquareResizing(height, name="resizing")(x)
    if (x.shape[-1], channels) == (1, 3):
        x = layers.Concatenate(name="colors")([x, x, x])
    if x.shape[-1] != channels:
        raise ValueError(
            f"The backbone {backbone!r} takes images of {channels} channels, "
            "and only from 1 to 3 and back can they be made to fit. "
            f"Received: input_shape={tuple(images.shape[1:])}"
        )
    return x


def _body_of(model, backbone, weights):
    """Return the body of a model of ours, or of one that is at hand."""
    if isinstance(weights, str) and weights == "imagenet":
        raise ValueError(
            "`weights='imagenet'` is for networks of keras.applications. "
            f"Received: backbone={backbone!r}"
        )
    if weights is not None:
        shape = "x".join(map(str, model.input_shape[1:]))
        described = f"{model.name!r} for images of {shape}"
        _load_weights(model, weights, f"the whole network {described}")
    # A copy, for the layers of the extractor were called twice on the way here:
    # their layer.output would belong to the model that it was taken from.
    body = copy_of(feature_extractor(model))
    features = body.output
    if len(features.shape) != 2:
        features = layers.Flatten(name="flat_features")(features)
    return Backbone(body.inputs[0], features, name="backbone")


def _application_body(application, shape, weights):
    """Return a network of keras.applications without its top."""

    def build(weights):
        return getattr(keras.applications, application)(
            include_top=False, weights=weights, input_shape=shape, pooling="avg"
        )

    try:
        network = build(None)
    except ValueError as error:
        raise ValueError(_no_such_images(application, shape, error)) from error
    if isinstance(weights, str) and weights == "imagenet":
        try:
            network = build("imagenet")
        except Exception as error:  # Keras raises nothing more precise.
            raise ConnectionError(
                f"The ImageNet weights of {application} could not be fetched "
                f"({error}). Without a network, give a file of weights: "
                "weights='weights.h5'."
            ) from error
    elif weights is not None:
        _load_weights(network, weights, f"{application} without its top")
    return Backbone(network.inputs[0], network.output, name="backbone")


def _load_weights(model, path, described):
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"There is no file of weights {os.fspath(path)!r}."
        )
    try:
        # Keras only warns when a layer finds nothing in the file.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        # Keras goes on to list every layer.
        reason = str(error).partition("List of objects")[0]
        raise ValueError(
            f"{os.fspath(path)!r} does not hold the weights of {described} "
            f"and with default arguments: {' '.join(reason.split())}"
        ) from error


def _set_trainable(body, mode, thaw):
    """Set the flags layer by layer, each model before the layers in it.

    A model's own flag hands itself down to its layers, but on TensorFlow only
    when it changes: thawing a thawed model leaves its frozen layers frozen.
    """
    by_path = layers_by_path(body)
    known = {path: layer for path, layer in by_path.items() if layer.weights}
    if mode != "frozen" and not known:
        raise ValueError(
            "The backbone has no weights before its features, so there is "
            f"nothing of it to train: `mode` must be 'frozen'. Received: "
            f"{mode!r}"
        )
    if mode == "partial":
        thaw = thaw or _last_layers(known)
    for name in thaw:
        if name not in known:
            raise ValueError(unknown_layer(body, name, known))
    for path, layer in by_path.items():
        # A frozen model would hide the trainable layers in it.
        layer.trainable = isinstance(layer, keras.Model) or (
            mode == "full"
            or any(path == name or path.startswith(f"{name}/") for name in thaw)
        )
    for layer in by_path.values():
        if hasattr(layer, "contrastive"):  # a machine that teaches itself
            layer.contrastive = False
    if mode == "frozen":
        body.trainable = False
    elif not body.trainable_weights:
        raise ValueError(
            "No training moves what is to be trained of the backbone: `mode` "
            f"must be 'frozen'. Received: {mode!r}"
        )


def _last_layers(known):
    """Return the last layer that multiplies, and those after it."""
    paths = [p for p in known if not isinstance(known[p], keras.Model)]
    products = [
        i
        for i, path in enumerate(paths)
        if any(len(weight.shape) > 1 for weight in known[path].weights)
    ]
    return paths[products[-1] if products else 0 :]


def _synchronize(body):
    for layer in layers_by_path(body).values():
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = True


def _no_such_images(backbone, shape, error):
    height, width = shape[:2]
    return (
        f"The backbone {backbone!r} cannot be built for images of "
        f"{height}x{width} pixels; choose another `image_size`. ({error})"
    )
