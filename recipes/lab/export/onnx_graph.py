"""ONNX files, written from the layers of a Keras model.

What a file takes and answers is decided by the task, see `graphs` in
`recipes.lab.tasks`; how a layer is written, by `onnx_layers` and the two files
beside it. The same model gives the same bytes each time.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import helper, numpy_helper

import zoo
from recipes.lab.export import (
    onnx_convolutions,
    onnx_layers,
    onnx_recurrence,
)

# What browsers and devices can read, too; later versions of the format bring
# nothing that these models need.
OPSET, IR_VERSION = 18, 8
_WRITERS = {
    **onnx_layers.writes,
    **onnx_convolutions.writes,
    **onnx_recurrence.writes,
}
# Operations whose outputs must have names, also those that nobody reads.
_WITH_ALL_OUTPUTS = ("TopK",)


def write(
    task, model: keras.Model, *, every_layer: bool = False
) -> dict[str, bytes]:
    """Write a model as ONNX files.

    `metadata_props` has the text of each asset of the export: `labels`, one a
    line; `columns`, the table of a row's columns with their units; `target`.

    Args:
        task: What the model does, see `recipes.lab.tasks`.
        model: The Keras model as it is exported.
        every_layer: Whether what each layer gives is an output, too, by the
            layer's path, such as `"encoder/hidden1"`, in Keras' order of axes.

    Returns:
        The name of each file and its bytes: `model.onnx`, and `decoder.onnx` of
        a model that has one.

    Raises:
        NotInOnnx: If the model has a layer that nobody has written down here.
    """
    assets = task.inputs.assets() | task.assets()
    metadata = {
        Path(name).stem: text.removesuffix("\n")
        for name, text in assets.items()
    }
    files = {}
    for name, graph in task.graphs(model, Graph).items():
        if every_layer:
            graph.output_layers()
        files[f"{name}.onnx"] = graph.to_bytes(model.name, metadata)
    return files


@dataclass(frozen=True)
class Tensor:
    """A tensor in a graph.

    Attributes:
        name: Its name.
        shape: Its shape as Keras has it, without the batch.
        dtype: What its numbers are.
        channels_first: Whether the graph has its channels before its sides, as
            the convolutions of ONNX want them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    channels_first: bool = False


class Graph:
    """Nodes, the constants that they use, inputs and outputs.

    Attributes:
        layers: What each layer gives, by its path: `"encoder/hidden1"`.
        path: The path of the layer that is being written.
    """

    def __init__(self):
        self.layers = {}
        self.path = ""
        self._inputs, self._outputs, self._nodes = [], [], []
        self._constants, self._transposed = {}, {}
        self._taken, self._renamed = set(), {}

    def input(self, name: str, shape, dtype="float32", about="") -> Tensor:
        """Add an input of any batch size, and return what it gives.

        Args:
            name: Its name.
            shape: Its shape without the batch.
            dtype: What its numbers are.
            about: What they mean, for people.
        """
        self._taken.add(name)
        x = Tensor(name, tuple(shape), dtype)
        self._inputs.append(_value_info(x, about))
        # The last size, -1, is what the numbers leave for it. Those of an empty
        # batch leave none, so ONNX Runtime refuses it.
        return self.node("Reshape", x, [0, *x.shape[:-1], -1])

    def output(self, name: str, x: Tensor, **facts) -> None:
        """Make a tensor an output, in Keras' order of axes.

        Args:
            name: Its name there.
            x: The tensor.
            **facts: Its `shape` or `dtype`, where it has none of Keras.
        """
        x = self.channels_last(x)
        if x.name in self._renamed:  # it is an output already
            x = self.node("Identity", x)
        self._taken.add(name)
        self._renamed[x.name] = name
        self._outputs.append(_value_info(replace(x, name=name, **facts)))

    def output_layers(self) -> None:
        """Make what each layer gives an output; where a name is taken, not."""
        for path, given in self.layers.items():
            if isinstance(given, Tensor) and path not in self._taken:
                self.output(path, given)

    def node(
        self, operation: str, *inputs, output: int = 0, **attributes
    ) -> Tensor:
        """Add a node.

        Args:
            operation: What it does, as ONNX calls it.
            *inputs: Tensors, and constants: Keras variables, arrays, numbers;
                floats are float32, integers int64. None leaves an input out.
            output: Which of the operation's outputs to take.
            **attributes: As ONNX has them.

        Returns:
            What it gives, as if it had the shape, the type and the order of
            axes of its first tensor.
        """
        name = self._new_name(operation)
        names = [self._name_of(x, f"{name}/{i}") for i, x in enumerate(inputs)]
        while not names[-1]:  # ONNX Runtime crashes at some that end so
            names.pop()
        others = name if operation in _WITH_ALL_OUTPUTS else ""
        outputs = [others and f"{others}/{i}" for i in range(output)] + [name]
        self._nodes.append(
            helper.make_node(operation, names, outputs, name, **attributes)
        )
        first, *_ = (x for x in inputs if isinstance(x, Tensor))
        return replace(first, name=name)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        """Return a tensor as numbers of another type."""
        cast = self.node("Cast", x, to=_onnx_type(dtype))
        return replace(cast, dtype=dtype)

    def channels_first(self, x: Tensor) -> Tensor:
        """Return a tensor with the channels right after the batch."""
        return self._ordered(x, channels_first=True)

    def channels_last(self, x: Tensor) -> Tensor:
        """Return a tensor with its axes in the order that Keras has."""
        return self._ordered(x, channels_first=False)

    def _ordered(self, x, channels_first):
        rank = len(x.shape) + 1
        if rank < 3 or x.channels_first == channels_first:
            return x
        if x.name not in self._transposed:
            sides = range(1, rank - 1)
            order = [0, rank - 1, *sides]
            if not channels_first:
                order = [0, *(side + 1 for side in sides), 1]
            transposed = self.node("Transpose", x, perm=order)
            transposed = replace(transposed, channels_first=channels_first)
            self._transposed[x.name] = transposed
        return self._transposed[x.name]

    def add(self, model: keras.Model, *inputs: Tensor):
        """Add the layers of a functional model.

        Args:
            model: The model.
            *inputs: What goes into it.

        Returns:
            What comes out of it: a tensor, or a list of them.

        Raises:
            NotInOnnx: If there is no function for one of its layers.
        """
        if not getattr(model, "inputs", None):
            raise onnx_layers.NotInOnnx(self, "it is no functional model")
        symbols = [
            keras.Input(batch_shape=x.shape, dtype=x.dtype)
            for x in model.inputs
        ]
        known = dict(zip(map(id, symbols), inputs, strict=True))
        outside = self.path

        def call(layer, *arguments, **options):
            self.path = f"{outside}/{layer.name}".removeprefix("/")
            _check_call(self, options)
            given = keras.tree.map_structure(
                lambda x: known.get(id(x), x), arguments
            )
            if isinstance(layer, keras.Model):
                found = self.add(layer, *keras.tree.flatten(given))
            else:
                found = _write_layer(self, layer, *given)
            # What Keras answers has the shapes.
            answer = layer(*arguments, **options)
            answers = keras.tree.flatten(answer)
            found = [
                _shaped(x, symbol.shape[1:])
                for x, symbol in zip(
                    keras.tree.flatten(found), answers, strict=True
                )
            ]
            known.update(zip(map(id, answers), found, strict=True))
            self.layers[self.path] = _single(found)
            return answer

        twin = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),
            input_tensors=symbols,
            clone_function=lambda layer: layer,
            call_function=call,
        )
        self.path = outside
        return _single([known[id(symbol)] for symbol in twin.outputs])

    def to_bytes(self, name: str, metadata: dict[str, str]) -> bytes:
        """Return the ONNX file.

        Args:
            name: Name of the graph.
            metadata: What else the file says, in `metadata_props`.
        """
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [self._renamed.get(name, name) for name in names]
        constants = [
            numpy_helper.from_array(array, name)
            for name, array in self._constants.values()
        ]
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, constants
        )
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="keras-zoo-recipes",
            producer_version=zoo.__version__,
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _new_name(self, operation):
        """Return a name that says where a node is and what it does."""
        name = free = f"{self.path}/{operation}".removeprefix("/")
        number = 1
        while free in self._taken:
            number += 1
            free = f"{name}{number}"
        self._taken.add(free)
        return free

    def _name_of(self, x, name):
        """Return the name of an input of a node; a constant gets this one."""
        if x is None:
            return ""
        if isinstance(x, Tensor):
            return x.name
        array = np.asarray(keras.ops.convert_to_numpy(x), order="C")
        if array.dtype.kind == "f":
            array = array.astype("float32")
        key = array.dtype.str, array.shape, array.tobytes()
        return self._constants.setdefault(key, (name, array))[0]


def _write_layer(graph, layer, *inputs):
    """Write a layer; return what it gives, as tensors of the graph."""
    # Its type and no other: a subclass may do something else.
    kind = type(layer)
    if kind not in _WRITERS:
        raise onnx_layers.NotInOnnx(
            graph, f"layers of the type {kind.__name__} are not known"
        )
    return _WRITERS[kind](graph, layer, *inputs)


def _check_call(graph, options: dict) -> None:
    """Refuse what a layer may be called with besides its inputs."""
    for option, value in options.items():
        values = keras.tree.flatten(value)  # a mask of several is a list
        if any(value is not None and value is not False for value in values):
            raise onnx_layers.NotInOnnx(graph, f"it is called with `{option}`")


def _single(tensors: list):
    """Return the only one of some tensors, or all of them."""
    return tensors[0] if len(tensors) == 1 else tensors


def _shaped(x: Tensor, shape) -> Tensor:
    """Return a tensor with the shape that Keras says it has."""
    has_sides = len(shape) > 1
    return replace(
        x, shape=shape, channels_first=x.channels_first and has_sides
    )


def _value_info(x: Tensor, about=""):
    """Return what a file says of an input or an output."""
    return helper.make_tensor_value_info(
        x.name, _onnx_type(x.dtype), ["batch", *x.shape], about
    )


def _onnx_type(dtype: str) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
