"""Answer with a trained model as fast as this machine can, in plain NumPy."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from zoo import _loading, _runtimes

# What is asked: of what reads text a runtime without strings has the others.
USUAL = ("serving_default", "tokens", "bases")
AT_ONCE = 64  # examples that go through a network together; more leave caches


def load_predictor(name, *, format="litert", signature=None) -> "Predictor":
    """Load a trained model from an export to ask it, and nothing else.

    A predictor is much faster than the Keras model on few examples, holds
    constant memory on many, and works on all processors.

    Args:
        name: Name or path of an export, as for `load_model`. Its sums are
            checked likewise. What they do not say is who wrote it; a runtime
            is no guard against a stranger's file.
        format: `"litert"`, which answers like the Keras model but for
            rounding; `"litert-int8"`, whose weights are rounded to eight bits,
            smaller and faster; or `"onnx"`.
        signature: What to ask, such as `"encode"` of an autoencoder; None for
            `"serving_default"`. A model that reads text is asked by the numbers
            of its words, `"tokens"`: these runtimes have no strings. Of a model
            that has none of these it is the first.

    Returns:
        A `Predictor`.

    Raises:
        FileNotFoundError: If there is no such export, or it does not have the
            format.
        ModuleNotFoundError: If the runtime of the format is not installed.
        ValueError: If the export is damaged or was changed, or has no such
            signature.

    Example:
    >>> predict = zoo.load_predictor("mnist_cnn")
    >>> predict(images)["class_id"]  # raw pixels: uint8, (n, 28, 28, 1)
    """
    if format not in _runtimes.FORMATS:
        raise ValueError(
            f"The formats are {', '.join(_runtimes.FORMATS)}. "
            f"Received: format={format!r}"
        )
    export = _loading.find_export(name)
    _loading.check_sums(export)
    runtime = _runtimes.open_format(export, format)
    if signature is None:
        known = runtime.signatures
        signature = next(x for x in (*USUAL, *known) if x in known)
    return Predictor(runtime, signature)


class Predictor:
    """A function from arrays to a dictionary of arrays, for any thread.

    Attributes:
        signatures: The names of all that the file has.
        arguments: Shape and type of what it takes, by name. None in a shape is
            the batch, of any size from one on.
        outputs: The names of what it returns.
    """

    def __init__(self, runtime, signature: str):
        if signature not in runtime.signatures:
            raise ValueError(
                f"The signatures are {', '.join(runtime.signatures)}. "
                f"Received: signature={signature!r}"
            )
        self.signatures = [*runtime.signatures]
        self.arguments = runtime.signatures[signature]
        self.outputs = runtime.outputs[signature]
        self._start = lambda: runtime.start(signature)
        self._answer = self._start()
        self._lock = threading.Lock()  # runtimes keep buffers
        self._pool, self._threads = None, threading.local()

    def __call__(self, *batch, **batches) -> dict[str, np.ndarray]:
        """Answer.

        Args:
            *batch: The only argument of a signature that has one.
            **batches: The arguments by name. Raw pixels are uint8; other
                integers from 0 to 255 are taken for them, floats are refused.

        Returns:
            The outputs by name, float32, int64 or uint8 as in the SavedModel;
            names of classes are `str`.

        Raises:
            TypeError: If an argument is missing, unknown or of another type.
            ValueError: If a shape does not fit, or there is nothing in it.
        """
        batches, count = self.fit(*batch, **batches)
        if count <= AT_ONCE:
            with self._lock:
                answer = self._answer(**batches)
            return _with_text(answer)
        return self._answer_parts(batches, count)

    def fit(self, *batch, **batches) -> tuple[dict[str, np.ndarray], int]:
        """Return the arguments as the runtime takes them, and their length.

        Args, and what is raised, are those of a call.
        """
        if batch:
            batches = self._named(batch, batches)
        if batches.keys() != self.arguments.keys():
            raise TypeError(
                f"The arguments are {', '.join(self.arguments)}. "
                f"Received: {', '.join(batches) or 'none'}"
            )
        count = None
        for name, argument in self.arguments.items():
            array = batches[name]
            if (
                type(array) is not np.ndarray
                or array.dtype != argument.dtype
                or array.shape[1:] != argument.shape[1:]
                or not array.size
            ):
                array = batches[name] = _fitting(name, array, argument)
            if argument.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} has numbers that are not finite.")
            if argument.shape:
                count = count or len(array)
                if count != len(array):
                    raise ValueError(
                        f"{name} has {len(array)} examples, and what comes "
                        f"before it {count}."
                    )
        return batches, count or 1

    def _named(self, batch, batches):
        if len(batch) > 1 or batches or len(self.arguments) > 1:
            raise TypeError(
                "Give the arguments by their names: "
                f"{', '.join(self.arguments)}"
            )
        return dict(zip(self.arguments, batch, strict=True))

    def _answer_parts(self, batches, count):
        """Answer in parts that fit into caches, on all processors."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    len(os.sched_getaffinity(0))
                    if hasattr(os, "sched_getaffinity")
                    else os.cpu_count(),
                    initializer=self._start_thread,
                )

        def answer(start):
            part = slice(start, start + AT_ONCE)
            return self._threads.answer(
                **{name: batch[part] for name, batch in batches.items()}
            )

        parts = [*self._pool.map(answer, range(0, count, AT_ONCE))]
        return _with_text(
            {
                name: np.concatenate([part[name] for part in parts])
                for name in parts[0]
            }
        )

    def _start_thread(self):
        self._threads.answer = self._start()


def _with_text(answer: dict) -> dict:
    """Return an answer with strings as `str`; a runtime has bytes."""
    for name, array in answer.items():
        if array.dtype == object:
            text = [value.decode() for value in array.ravel()]
            answer[name] = np.array(text).reshape(array.shape)
    return answer


def _fitting(name: str, value, argument) -> np.ndarray:
    """Return a value as a signature takes it, or raise what is wrong with it.

    Nothing that changes a number is done: runtimes cut floats in [0, 1] to
    black pixels, or read whatever shape as if it fitted.
    """
    array, (shape, dtype) = np.asarray(value), argument
    wanted = f"({', '.join('n' if s is None else str(s) for s in shape)})"
    if len(shape) == 1:
        wanted = wanted.replace(")", ",)")
    if array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        hint = ""
        if array.shape == shape[1:]:
            hint = f" Is it one example? {name}[np.newaxis] is a batch of it."
        raise ValueError(
            f"{name} must have the shape {wanted}. "
            f"Received: {array.shape}.{hint}"
        )
    if not array.size:
        raise ValueError(f"{name} is empty; give one example or more.")
    converted = array
    if array.dtype != dtype:
        kinds = "iu" if dtype.kind in "iu" else "iuf"
        if array.dtype.kind not in kinds:
            raise TypeError(f"{name} must be {dtype}. Received: {array.dtype}")
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if array.min() < limits.min or array.max() > limits.max:
                raise ValueError(
                    f"{name} must be from {limits.min} to {limits.max}. "
                    f"Received: {array.min()} to {array.max()}"
                )
        converted = array.astype(dtype)
    return np.asarray(converted, order="C")
