"""Transfer learning: what one network has learnt, put to work in another.

`transfer_classifier` puts a new head on a trained body, the backbone.
`feature_extractor` and `classifier_head` take a model apart where its features
are, so that features can be computed once and the head trained on them;
`replace_head` gives a model a head for other classes.
"""

import difflib
import os
import warnings
from pathlib import Path

import keras
from keras import layers, ops

from zoo import _loading, _pixels
from zoo._registry import create_model, list_models, register_model

MODES = ("frozen", "partial", "full")


@keras.saving.register_keras_serializable(package="zoo")
class Backbone(keras.Model):
    """A functional model in inference mode while its `trainable` is false.

    In inference mode there is no dropout, and batch normalisation goes by
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
class ApplicationPreprocessing(layers.Layer):
    """Turn raw colour pixels into what a network of keras.applications takes.

    Args:
        application: Name of the network, such as `"MobileNetV2"`.
    """

    takes_raw_pixels = True

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
      dropout, and batch normalisation keeps its statistics.
    - `"partial"` trains the head and the layers of the backbone in `thaw`.
    - `"full"` trains everything, from the backbone's weights.

    To train the head first and everything later, build both models with equal
    arguments but for the mode; `second.set_weights(first.get_weights())`.

    Raw pixels go in whatever the backbone: ours rescale them themselves, for
    those of keras.applications the model resizes, makes colour of grey and
    does the network's own preprocessing.

    Args:
        input_shape: Height, width and channels of an image.
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
        image_size: Side in pixels to which images are resized. `None` leaves
            them as they are, and means 96 for keras.applications.
        synchronized: Whether batch normalisation that is trained takes its
            statistics over all replicas; see `cnn`.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        name: Name of the model.

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
    _check_classes(num_classes)
    thaw = (thaw,) if isinstance(thaw, str) else tuple(thaw)
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: {mode!r}")
    if (mode == "partial") != bool(thaw):
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
    x = image
    if kind == "application":
        image_size = image_size or 96
    if image_size is not None:
        x = SquareResizing(image_size, name="resizing")(x)
    if kind == "application":
        if x.shape[-1] == 1:
            x = layers.Concatenate(name="colors")([x, x, x])
        if x.shape[-1] != 3:
            raise ValueError(
                f"The backbone {backbone!r} takes images of 1 or 3 channels. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        x = ApplicationPreprocessing(backbone, name="preprocessing")(x)
        body = _application_body(backbone, x.shape[1:], weights)
    else:
        body = _zoo_body(kind, backbone, x.shape[1:], weights)
    _set_trainable(body, mode, thaw)
    if synchronized:
        _synchronize(body)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(body(x))
    return keras.Model(image, outputs, name=name)


def feature_extractor(model, layers=None):
    """Return the model that gives what some layers of another one give.

    The two share their weights: what trains one changes the other. It is for
    inference: what is frozen in the model may drop features in the extractor.

    Args:
        model: A functional model.
        layers: Name of a layer, for its output; or a list of names, for a
            dictionary from each name to the output of that layer. A layer of a
            sub-model is `"backbone/conv1"`. `None` means the features: what
            enters `predictions` (see `transfer_classifier` for LeNet-5), else
            what the sub-model `encoder` gives, else what the last layer gives.

    Returns:
        An uncompiled `keras.Model` from the inputs of `model`.

    Raises:
        ValueError: If the model is not functional or has no such layer.

    Example:
    >>> extractor = zoo.feature_extractor(zoo.create_model("cnn"))
    >>> extractor.output_shape
    (None, 128)
    """
    names = [layers] if isinstance(layers, str) else list(layers or ())
    known = _layers_by_path(_functional(model))
    for layer in names:
        if layer not in known:
            raise ValueError(_unknown_layer(model, layer, known))
    graph = _Graph(model, names)
    if layers is None:
        outputs = graph.features()
    elif isinstance(layers, str):
        outputs = graph.leaving[layers]
    else:
        outputs = {layer: graph.leaving[layer] for layer in names}
    extractor = keras.Model(
        graph.inputs, outputs, name=f"{model.name}_features"
    )
    return _pixels.watch(extractor)


def classifier_head(model):
    """Return the model from the features of a classifier to its predictions.

    It shares its layers with the classifier. So to train the head on features
    that were computed once is to train the classifier, as long as its backbone
    is frozen.

    Args:
        model: A functional classifier that ends in a layer `predictions`.

    Returns:
        An uncompiled `keras.Model` that takes what
        `feature_extractor(model)` gives.

    Raises:
        ValueError: If the model does not end in `predictions`.

    Example:
    >>> model = zoo.create_model("transfer_classifier")
    >>> features = zoo.feature_extractor(model).predict(images, verbose=0)
    >>> probabilities = zoo.classifier_head(model).predict(features, verbose=0)
    """
    graph = _Graph(_classifier(model))
    x = features = keras.Input(graph.features().shape[1:], name="features")
    for layer in graph.head():
        x = layer(x)
    return keras.Model(features, x, name=f"{model.name}_head")


def replace_head(
    model, num_classes, *, classifier_activation="softmax", name=None
):
    """Return a copy of a classifier with a new head, for other classes.

    The body starts with the weights of the model, which is left as it is; what
    was frozen stays frozen. LeNet-5 of 1998 exchanges its bitmaps of the ten
    digits, too, for a dense layer.

    Args:
        model: A functional classifier that ends in a layer `predictions`.
        num_classes: Number of classes, two or more.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        name: Name of the new model; `None` for that of the old one.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        ValueError: If the model does not end in `predictions`, or there are
            fewer than two classes.

    Example:
    >>> letters = zoo.replace_head(zoo.create_model("lenet5"), 26)
    """
    _check_classes(num_classes)
    body = _copy(feature_extractor(_classifier(model)))
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(body.output)
    return _pixels.watch(
        keras.Model(body.input, outputs, name=name or model.name)
    )


class _Graph:
    """What enters and what leaves each layer of a model, by the layer's name.

    `layer.output` would not do: it belongs to the first call of the layer, and
    for a sub-model to its inside. So each layer is called once more.
    """

    def __init__(self, model, paths=()):
        self.model = model
        self.operations, self.entering, self.leaving = {}, {}, {}

        def call(layer, *args, **kwargs):
            inside = f"{layer.name}/"
            inner = [
                path.removeprefix(inside)
                for path in paths
                if path.startswith(inside)
            ]
            if inner:
                # One sub-model gives all: Keras would save a layer that is in
                # two of them once, and find it in one.
                graph = _Graph(layer, inner)
                found = {path: graph.leaving[path] for path in inner}
                several = [graph.outputs, found]
                several = keras.Model(graph.inputs, several, name=layer.name)
                leaving, found = several(*args)
                self.leaving |= {inside + path: found[path] for path in inner}
            else:
                leaving = layer(*args, **kwargs)
            self.operations[layer.name] = layer
            self.entering[layer.name] = args[0] if args else None
            self.leaving[layer.name] = leaving
            return leaving

        twin = keras.models.clone_model(
            _plain(model),
            clone_function=lambda layer: layer,
            call_function=call,
        )
        self.inputs, self.outputs = twin.input, twin.output

    def head(self):
        """Return the layers after the features of a classifier."""
        made_by = {
            id(self.leaving[name]): layer
            for name, layer in self.operations.items()
        }
        head = [self.operations["predictions"]]
        while not head[0].weights:
            before = made_by.get(id(self.entering[head[0].name]))
            alone = isinstance(before, layers.Layer)
            if not alone or isinstance(before, keras.Model):
                return [self.operations["predictions"]]
            head.insert(0, before)
        return head

    def features(self):
        """Return what `feature_extractor` calls the features."""
        last = self.model.layers[-1].name
        if last == "predictions":
            features = self.entering[self.head()[0].name]
        else:
            features = self.leaving.get("encoder", self.leaving[last])
        if not isinstance(features, keras.KerasTensor):
            raise ValueError(
                f"The features of {self.model.name!r} are not one tensor: "
                f"{features}. Name the layer to take them from."
            )
        return features


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
    if name in list_models():
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
    ours = [m for m in list_models() if m != "transfer_classifier"]
    return dict.fromkeys(ours + _applications() + _loading.families())


def _applications():
    """Return the names of the networks of keras.applications."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def _zoo_body(kind, backbone, shape, weights):
    """Return the body of a model of ours, or of one that is at hand."""
    if isinstance(weights, str) and weights == "imagenet":
        raise ValueError(
            "`weights='imagenet'` is for networks of keras.applications. "
            f"Received: backbone={backbone!r}"
        )
    if kind == "zoo":
        try:
            model = create_model(backbone, input_shape=shape)
        except ValueError as error:
            raise ValueError(_no_such_images(backbone, shape, error)) from error
    else:
        if kind == "model":
            model = _copy(_functional(backbone))
        else:
            model = _loading.load_model(backbone)
        _check_shape(model, shape)
    if weights is not None:
        _load_weights(model, weights)
    # A copy, for the layers of the extractor were called twice on the way here:
    # their layer.output would belong to the model that it was taken from.
    body = _copy(feature_extractor(model))
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
        _load_weights(network, weights)
    return Backbone(network.inputs[0], network.output, name="backbone")


def _load_weights(model, path):
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
            f"{os.fspath(path)!r} does not hold the weights of the backbone "
            f"{model.name!r}, whole and with default arguments: "
            f"{' '.join(reason.split())}"
        ) from error


def _set_trainable(body, mode, thaw):
    """Set the flags layer by layer, each model before the layers in it.

    A model's own flag hands itself down to its layers, but on TensorFlow only
    when it changes: thawing a thawed model leaves its frozen layers frozen.
    """
    by_path = _layers_by_path(body)
    known = {path: layer for path, layer in by_path.items() if layer.weights}
    for name in thaw:
        if name not in known:
            raise ValueError(_unknown_layer(body, name, known))
    for path, layer in by_path.items():
        # A frozen model would hide the trainable layers in it.
        layer.trainable = isinstance(layer, keras.Model) or (
            mode == "full"
            or any(path == name or path.startswith(f"{name}/") for name in thaw)
        )
    if mode == "frozen":
        body.trainable = False


def _synchronize(body):
    for layer in _layers_by_path(body).values():
        if isinstance(layer, layers.BatchNormalization):
            layer.synchronized = True


def _layers_by_path(model):
    """Return all layers, those of sub-models as `"encoder/hidden1"`."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        found[layer.name] = layer
        if isinstance(layer, keras.Model):
            inner = _layers_by_path(layer)
            found |= {f"{layer.name}/{path}": inner[path] for path in inner}
    return found


def _copy(model):
    """Return a model of new layers with the same weights, not compiled."""
    twin = keras.models.clone_model(_plain(model))
    twin.set_weights(model.get_weights())
    return twin


def _plain(model):
    """Return the model not compiled, for cloning copies what is compiled."""
    if isinstance(model, keras.Sequential):
        # As long as nothing has called it, it has no `input`.
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


def _functional(model):
    """Return the model, or say that only functional ones can be taken apart."""
    try:
        functional = bool(model.inputs and model.outputs)
    except (AttributeError, ValueError):
        functional = False
    if not functional:
        raise ValueError(
            "Only a functional model, or a Sequential one that is built, can "
            f"be taken apart. Received: {model!r}"
        )
    return model


def _classifier(model):
    if _functional(model).layers[-1].name != "predictions":
        raise ValueError(
            "A classifier's last layer is called `predictions`. Received: the "
            f"model {model.name!r}, whose last layer is "
            f"{model.layers[-1].name!r}"
        )
    return model


def _check_classes(num_classes):
    if num_classes < 2:
        raise ValueError(
            "A head for one class has nothing to tell apart: `num_classes` "
            f"must be 2 or more. Received: {num_classes}"
        )


def _check_shape(model, shape):
    takes = model.input_shape[1:] if len(model.inputs) == 1 else None
    fits = takes and len(takes) == len(shape)
    if not fits or any(
        size not in (None, given)
        for size, given in zip(takes, shape, strict=True)
    ):
        raise ValueError(
            f"The backbone {model.name!r} takes images of shape {takes}, and "
            f"would get {tuple(shape)}. Give it as `input_shape`, or its side "
            "as `image_size`."
        )


def _no_such_images(backbone, shape, error):
    height, width = shape[:2]
    return (
        f"The backbone {backbone!r} cannot be built for images of "
        f"{height}x{width} pixels; choose another `image_size`. ({error})"
    )


def _unknown_layer(model, name, known):
    close = difflib.get_close_matches(str(name), known)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return (
        f"{model.name!r} has no layer {name!r}.{hint} "
        f"There is: {', '.join(known)}"
    )
