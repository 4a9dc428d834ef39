"""Take any functional model apart: features, head, new head, preprocessing.

`feature_extractor` and `classifier_head` take a model apart where its features
are, so that features can be computed once and the head trained on them;
`replace_head` gives a model a head for other classes; `without_preprocessing`
leaves out what rescales raw inputs.
"""

import difflib

import keras
from keras import layers

from zoo import _pixels


def feature_extractor(model, layers=None):
    """Return the model that gives what some layers of another one give.

    The two share their weights: what trains one changes the other. It is for
    inference: what is frozen in the model may drop features in the extractor.

    Args:
        model: A functional model.
        layers: Name of a layer, for its output; or a list of names, for a
            dictionary from each name to the output of that layer. A layer of a
            sub-model is `"backbone/conv1"`. `None` means the features: what
            enters `predictions` (see `transfer_classifier` for LeNet-5), or all
            heads of a model that returns a dictionary; else what enters the
            sub-model `decoder`, else what the sub-model `encoder` gives, else
            what the last layer gives.

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
    known = layers_by_path(functional(model))
    for layer in names:
        if layer not in known:
            raise ValueError(unknown_layer(model, layer, known))
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
        model: A functional classifier that ends in a layer `predictions`, or a
            model of several heads, none of which stays.
        num_classes: Number of classes, two or more.
        classifier_activation: `"softmax"` for probabilities, `None` for logits.
        name: Name of the new model; `None` for that of the old one.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        ValueError: If the model has no such head, or there are fewer than two
            classes.

    Example:
    >>> letters = zoo.replace_head(zoo.create_model("lenet5"), 26)
    """
    check_classes(num_classes)
    if not isinstance(getattr(model, "_outputs_struct", None), dict):
        _classifier(model)
    body = copy_of(feature_extractor(model))
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(body.output)
    return _pixels.watch(
        keras.Model(body.input, outputs, name=name or model.name)
    )


def without_preprocessing(model):
    """Return a copy of a model without the layers that rescale its inputs.

    What goes in is what these layers give: of most image models pixels in
    [0, 1], of models of tables standardized columns. What comes before them is
    left out, too: LeNet-5 takes pixels that are padded, a model that resizes
    images takes resized ones. What comes out is the same.

    It is for tools that know few kinds of layers, such as hls4ml. So the copy
    has no sub-models: their layers are its own. One whose name another has is
    called `encoder_hidden1` instead of `hidden1`. And it is for inference: what
    is frozen in the model may drop features in the copy.

    Args:
        model: A functional model of one input.

    Returns:
        An uncompiled `keras.Model`, which starts with the weights of the model
        and shares none.

    Raises:
        ValueError: If the model is not functional, has several inputs,
            rescales nothing before its first weights, or uses its raw inputs
            elsewhere, too.

    Example:
    >>> model = zoo.create_model("cnn")
    >>> body = zoo.without_preprocessing(model)
    >>> probabilities = body.predict(images / 255.0, verbose=0)
    """
    if len(functional(model).inputs) != 1:
        raise ValueError(
            "Only a model of one input can do without its preprocessing. "
            f"Received: {model.name!r}, which has {len(model.inputs)}"
        )
    flat, leaving = without_submodels(model)
    last = None
    for layer in flat.layers:
        if _preprocesses(layer):
            last = layer
        elif layer.weights:
            break
    if last is None:
        raise ValueError(
            f"{model.name!r} rescales nothing before its first weights, so "
            "there is no preprocessing to leave out. Use it as it is."
        )
    preprocessed = leaving[last.name]
    name = f"{model.name}_without_preprocessing"
    try:
        body = keras.Model(preprocessed, flat.output, name=name)
    except ValueError as error:
        raise ValueError(
            f"The inputs of {model.name!r} also go past its layer "
            f"{last.name!r}, so they cannot do without it."
        ) from error
    inputs = keras.Input(
        preprocessed.shape[1:], dtype=preprocessed.dtype, name="preprocessed"
    )
    return copy_of(body, inputs)


def _preprocesses(layer):
    """Say whether a layer rescales what goes in, by numbers of its own."""
    return isinstance(
        layer, layers.Rescaling | layers.Normalization
    ) or getattr(layer, "preprocesses", False)


def without_submodels(model):
    """Return a copy without sub-models, and what leaves each of its layers."""
    flat = copy_of(model)
    by_path = layers_by_path(flat)
    names = [layer.name for layer in by_path.values()]
    for path, layer in by_path.items():
        if names.count(layer.name) > 1:
            layer.name = path.replace("/", "_")
    leaving = {}

    def call(layer, *args, **kwargs):
        if _is_functional(layer):
            # As a function it calls its layers, and is none itself.
            leaving[layer.name] = keras.Function.call(_plain(layer), *args)
        else:
            leaving[layer.name] = layer(*args, **kwargs)
        return leaving[layer.name]

    nested = True
    while nested:
        nested = any(_is_functional(layer) for layer in flat.layers)
        flat = keras.models.clone_model(
            flat, clone_function=lambda layer: layer, call_function=call
        )
    return flat, leaving


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

    def head(self, last="predictions"):
        """Return the layers after the features, up to the last of a head."""
        made_by = {
            id(self.leaving[name]): layer
            for name, layer in self.operations.items()
        }
        head = [self.operations[last]]
        while not head[0].weights:
            before = made_by.get(id(self.entering[head[0].name]))
            alone = isinstance(before, layers.Layer)
            if not alone or isinstance(before, keras.Model):
                return [self.operations[last]]
            head.insert(0, before)
        return head

    def features(self):
        """Return what `feature_extractor` calls the features."""
        last = self.model.layers[-1].name
        if isinstance(self.outputs, dict):
            features = self._features_of_heads()
        elif last == "predictions":
            features = self.entering[self.head()[0].name]
        else:
            if "generator" in self.leaving:
                raise ValueError(
                    f"{self.model.name!r} draws pictures from noise and has no "
                    "features of them. Those of its sub-model 'discriminator' "
                    "are features of pictures in [0, 1]."
                )
            code = self.leaving.get("encoder", self.leaving[last])
            features = self.entering.get("decoder", code)
        if not isinstance(features, keras.KerasTensor):
            raise ValueError(
                f"The features of {self.model.name!r} are not one tensor: "
                f"{features}. Name the layer to take them from."
            )
        return features

    def _features_of_heads(self):
        """Return what enters all heads; a list if that is not one tensor."""
        ends = {id(x) for x in self.outputs.values()}
        last = [name for name, x in self.leaving.items() if id(x) in ends]
        entering = [self.entering[self.head(name)[0].name] for name in last]
        features = list({id(x): x for x in entering}.values())
        return features[0] if len(features) == 1 else features


def layers_by_path(model):
    """Return all layers, those of sub-models as `"encoder/hidden1"`."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        found[layer.name] = layer
        if isinstance(layer, keras.Model):
            inner = layers_by_path(layer)
            found |= {f"{layer.name}/{path}": inner[path] for path in inner}
    return found


def copy_of(model, inputs=None):
    """Return a model of new layers with the same weights, not compiled.

    Args:
        model: A functional model.
        inputs: The `keras.Input` to build it upon; by default a new one.
    """
    twin = keras.models.clone_model(_plain(model), inputs)
    twin.set_weights(model.get_weights())
    return twin


def _plain(model):
    """Return the model not compiled, for cloning copies what is compiled."""
    if isinstance(model, keras.Sequential):
        # As long as nothing has called it, it has no `input`.
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


def _is_functional(model):
    try:
        return bool(model.inputs and model.outputs)
    except (AttributeError, ValueError):
        return False


def functional(model):
    """Return the model, or say that only functional ones can be taken apart."""
    if not _is_functional(model):
        raise ValueError(
            "Only a functional model, or a Sequential one that is built, can "
            f"be taken apart. Received: {model!r}"
        )
    return model


def _classifier(model):
    if functional(model).layers[-1].name != "predictions":
        raise ValueError(
            "A classifier's last layer is called `predictions`. Received: the "
            f"model {model.name!r}, whose last layer is "
            f"{model.layers[-1].name!r}"
        )
    return model


def check_classes(num_classes):
    if num_classes < 2:
        raise ValueError(
            "A head for one class has nothing to tell apart: `num_classes` "
            f"must be 2 or more. Received: {num_classes}"
        )


def unknown_layer(model, name, known):
    close = difflib.get_close_matches(str(name), known)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return (
        f"{model.name!r} has no layer {name!r}.{hint} "
        f"There is: {', '.join(known)}"
    )
