"""Import Keras, also where the environment would not let it be imported.

Two things that a process inherits get in the way:

- `MPLBACKEND`. Keras imports Matplotlib if it is installed, and Matplotlib
  refuses to be imported if it cannot find the backend that this names. A
  notebook names its own there, and its `!python ...`, which may be a Python of
  another environment, inherits the name.
- No home folder, as in many a container. TensorFlow would make a folder `~` in
  the current one.

Both are hidden while Keras is imported. The environment stays as it is.
"""

import contextlib
import os
import sys
import tempfile


def _import_keras() -> None:
    hidden = {}
    backend = os.environ.get("MPLBACKEND")
    if backend and "matplotlib" not in sys.modules:
        hidden["MPLBACKEND"] = None
    if os.path.expanduser("~") == "~" and "KERAS_HOME" not in os.environ:
        # Where Keras itself turns to if it cannot write to the home folder.
        hidden["KERAS_HOME"] = os.path.join(tempfile.gettempdir(), ".keras")
    with contextlib.ExitStack() as stack:
        for name, value in hidden.items():
            stack.enter_context(_variable(name, value))
        import keras  # noqa: F401
    if "MPLBACKEND" in hidden and "matplotlib" in sys.modules:
        # Matplotlib gets the backend that is named, if it has that.
        with contextlib.suppress(ValueError):
            sys.modules["matplotlib"].rcParams["backend"] = backend


@contextlib.contextmanager
def _variable(name: str, value: str | None):
    """Set an environment variable, or hide it, for a while."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


_import_keras()
