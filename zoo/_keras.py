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
    if os.environ.get("MPLBACKEND") and "matplotlib" not in sys.modules:
        _import_matplotlib()
    if os.path.expanduser("~") == "~" and "KERAS_HOME" not in os.environ:
        # Where Keras itself turns to if it cannot write to the home folder.
        folder = os.path.join(tempfile.gettempdir(), ".keras")
        with _variable("KERAS_HOME", folder):
            import keras
    else:
        import keras  # noqa: F401


def _import_matplotlib() -> None:
    """Import Matplotlib; give it the backend that is named if it has that."""
    with _variable("MPLBACKEND", None):
        try:
            import matplotlib
        except ImportError:
            return  # Keras does without
    with contextlib.suppress(ValueError):
        matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]


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
