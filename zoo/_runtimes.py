"""Open the other formats of an export: LiteRT's and ONNX's, no TensorFlow.

A runtime has `signatures`, and `start(name)` gives the function that answers
one of them. That function keeps buffers of its own: one thread at a time.
"""

import importlib
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Argument(NamedTuple):
    """What a signature takes under one name.

    Attributes:
        shape: Its shape; None is the batch, of any size.
        dtype: Its type.
    """

    shape: tuple
    dtype: np.dtype


class LiteRT:
    """A `.tflite` file, run on one thread.

    Attributes:
        signatures: The arguments of each signature, by their names.
        outputs: The names of the outputs of each signature.
    """

    def __init__(self, path: Path):
        self._path = path
        interpreter = self._interpreter()
        names = interpreter.get_signature_list()
        self.outputs = {k: [*lists["outputs"]] for k, lists in names.items()}
        self.signatures = {}
        for name in names:
            runner = interpreter.get_signature_runner(name)
            self.signatures[name] = {
                key: Argument(
                    tuple(
                        None if size < 0 else int(size)
                        for size in details["shape_signature"]
                    ),
                    np.dtype(details["dtype"]),
                )
                for key, details in runner.get_input_details().items()
            }

    def start(self, signature: str):
        """Return a function from arrays, by name, to a dictionary of arrays."""
        return self._interpreter().get_signature_runner(signature)

    def _interpreter(self):
        module = import_module("ai_edge_litert.interpreter", "ai-edge-litert")
        return module.Interpreter(str(self._path), num_threads=1)


class ONNX:
    """The `.onnx` files of an export, run on one thread.

    A file is one graph, so it is one signature: `decode` if it takes codes, as
    that of a decoder does, and else `serving_default`.

    Attributes:
        signatures: The arguments of each signature, by their names.
        outputs: The names of the outputs of each signature.
    """

    def __init__(self, path: Path):
        runtime = import_module("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self.signatures, self.outputs, self._sessions = {}, {}, {}
        for file in (path, path.with_name("decoder.onnx")):
            if not file.is_file():
                continue
            session = runtime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
            arguments = {
                value.name: Argument(
                    tuple(
                        size if isinstance(size, int) else None
                        for size in value.shape
                    ),
                    np.dtype(_DTYPES[value.type]),
                )
                for value in session.get_inputs()
            }
            known = (
                _SIGNATURES[key] for key in arguments if key in _SIGNATURES
            )
            name = next(known, "serving_default")
            self._sessions[name] = session
            self.signatures[name] = arguments
            self.outputs[name] = [value.name for value in session.get_outputs()]

    def start(self, signature: str):
        """Return a function from arrays, by name, to a dictionary of arrays."""
        session, names = self._sessions[signature], self.outputs[signature]

        def answer(**arguments):
            return dict(zip(names, session.run(names, arguments), strict=True))

        return answer


_DTYPES = {
    "tensor(float)": "float32",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}

# Of which signature an ONNX file is, by an input that it has.
_SIGNATURES = {"code": "decode", "tokens": "tokens", "dna": "bases"}

# What the formats are called, and in which file and runtime each is.
FORMATS = {
    "litert": ("model.tflite", LiteRT),
    "litert-int8": ("model.int8.tflite", LiteRT),
    "onnx": ("model.onnx", ONNX),
}


def open_format(export: Path, format: str) -> LiteRT | ONNX:
    """Open one format of an export.

    Args:
        export: The version folder.
        format: A key of `FORMATS`.

    Raises:
        FileNotFoundError: If the export does not have it.
        ModuleNotFoundError: If its runtime is not installed.
    """
    file, runtime = FORMATS[format]
    if not (export / file).is_file():
        there = [
            f for f, (name, _) in FORMATS.items() if (export / name).is_file()
        ]
        raise FileNotFoundError(
            f"{export} has no {file}: its README.md says why. It has the "
            f"formats: {', '.join(there) or 'none of these'}."
        )
    return runtime(export / file)


def import_module(module: str, package: str):
    """Import what is used by some only; say what to install without it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is not installed, and nothing else does its part here. "
            f"Install it with `pip install {shlex.quote(package)}`."
        ) from error
