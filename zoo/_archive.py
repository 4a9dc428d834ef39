"""Open a `.keras` file that may have been made to do harm.

Keras' safe mode runs none of a file's code. But Keras makes a model before it
looks at the weights, and believes an array that claims to have 4 GiB. So what a
file claims is held against its size first.
"""

import concurrent.futures
import io
import json
import math
import random
import textwrap
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = [CONFIG, "metadata.json", WEIGHTS]
# Several times the largest network of keras.applications, which has 1.4 GB of
# weights, and a thousand layers of a kilobyte each.
LARGEST_FILE = 4 << 30
LARGEST_CONFIG = 4 << 20
DEEPEST = 100  # groups; reading takes the square of the depth


def load(path: Path) -> keras.Model:
    """Load a `.keras` file in safe mode, uncompiled.

    Raises:
        ValueError: If Keras did not write it so, if it holds code, if it claims
            more than it holds, or if its weights are no finite numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size)
            config = archive.read(CONFIG)
        stored = _check_arrays(path)
        _check_model(config, stored)
        with warnings.catch_warnings(record=True) as warned:
            warnings.filterwarnings("always", "Skipping nested container")
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        for warning in warned:
            if "freshly-initialized weights" in str(warning.message):
                raise ValueError(f"{WEIGHTS} lacks those of some layers")
            warnings.warn(warning.message, stacklevel=3)
        for weight in model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise ValueError(f"the weights {weight.path} are not finite")
    # Whatever zipfile, HDF5 and Keras stumble over in a bad file.
    except Exception as error:
        raise ValueError(f"{path} was refused: {_reason(error)}") from error
    return model


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what Keras does not write, or would unpack to more than `size`."""
    members = archive.infolist()
    if sorted(member.filename for member in members) != MEMBERS:
        names = textwrap.shorten(", ".join(archive.namelist()), 200)
        raise ValueError(f"it holds {names}; Keras writes {', '.join(MEMBERS)}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ValueError(
                f"{member.filename} is compressed or encrypted; Keras stores it"
            )
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise ValueError(f"it claims {claimed:,} bytes and has {size:,}")
    if size > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE:,} bytes")
    if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
        raise ValueError(f"{CONFIG} is larger than {LARGEST_CONFIG:,} bytes")


def _check_arrays(path: Path) -> int:
    """Refuse arrays that claim more bytes than are stored; return that number.

    Keras would look through them in the archive, where every step back reads it
    again from its start.
    """
    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read(WEIGHTS))
    stored = weights.getbuffer().nbytes
    problems, claimed = [], 0

    def look(name, item):
        nonlocal claimed
        if name.count("/") > DEEPEST:
            problems.append(f"{WEIGHTS} has groups within groups, too deep")
        elif hasattr(item, "dtype"):
            # HDF5's own `nbytes` is too small where it does not fit in 64 bits.
            claimed += math.prod(item.shape) * item.dtype.itemsize
            # A string or an attribute may be stored once and read many times.
            if item.dtype.kind not in "biuf" or len(item.attrs):
                problems.append(f"{name} in {WEIGHTS} is no array of numbers")
            # A chunk may be far larger than its array and take no space.
            if item.chunks:
                problems.append(f"{name} in {WEIGHTS} is stored in chunks")
        return True if problems else None

    class Reader(keras.Model):
        """Learns from Keras how such a file is opened."""

        def load_own_variables(self, store):
            with type(store.h5_file)(weights, "r") as file:
                file.visititems(look)

    reader = Reader()
    reader.built = True
    reader.load_weights(path)
    if claimed > stored:
        problems.append(
            f"the arrays in {WEIGHTS} claim {claimed:,} bytes of {stored:,}"
        )
    if problems:
        raise ValueError(problems[0])
    return stored


def _check_model(config: bytes, stored: int) -> None:
    """Refuse a model of more weights than bytes are stored, without making any.

    A scope has Keras put off making the weights until it ends. In a thread,
    which has a Keras state of its own, that is never.
    """

    def check(weights):
        count = sum(math.prod(weight.shape) for weight in weights)
        if count > stored:
            raise ValueError(
                f"a model of {count:,} weights cannot be in the {stored:,} "
                f"bytes of {WEIGHTS}"
            )

    class Scope(keras.StatelessScope):
        """Checks weights that a layer wants to see while it is built."""

        def get_current_value(self, variable):
            check([variable])
            return super().get_current_value(variable)

    def build():
        with Scope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(
                json.loads(config), safe_mode=True
            )
        if not isinstance(model, keras.Model):
            raise ValueError(f"{CONFIG} describes no model")
        check(model.variables)

    state = random.getstate()  # Keras draws seeds; seeded training shall not
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            executor.submit(build).result()
    finally:
        random.setstate(state)


def _reason(error: Exception) -> str:
    """Return what an error says, without the configurations Keras quotes."""
    reason = str(error).rpartition("Exception encountered: ")[2]
    for quoted in ("Full object config", "List of objects", "config={"):
        reason = reason.partition(quoted)[0]
    return textwrap.shorten(reason, 400) or type(error).__name__
