"""Open a `.keras` file that may have been made to do harm.

Keras' safe mode runs no Python of a file. But Keras makes whatever it knows,
such as an operation that calls any of its functions at once; it makes a model
before it looks at the weights; and it believes an array that claims to have
4 GiB. So first a file may name only what is listed here, and what it claims is
held against its size.
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

from zoo._loading import LARGEST_FILE

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = [CONFIG, "metadata.json", WEIGHTS]
# Of keras.applications: 1,041 layers of a kilobyte each.
LARGEST_CONFIG = 2 << 20
MOST_CALLS = 1_500  # of layers, while a model is built
MOST_IN_SEQUENCE = 100  # layers; Keras builds all of them again for each
DEEPEST_OBJECT = 10  # Keras' errors quote an object once for each around it
DEEPEST_GROUP = 100  # reading takes the square of the depth

# Allowed: every class of these modules that has the given base.
KINDS = {
    "keras": (keras, keras.DTypePolicy),
    "keras.constraints": (keras.constraints, keras.constraints.Constraint),
    "keras.initializers": (keras.initializers, keras.initializers.Initializer),
    "keras.layers": (keras.layers, keras.layers.Layer),
    "keras.regularizers": (keras.regularizers, keras.regularizers.Regularizer),
}
# Not allowed although it is a layer: it runs a program or reads files.
HARMFUL = {
    "FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup",
    "TFSMLayer", "TextVectorization", "TorchModuleWrapper",
}  # fmt: skip
SEQUENTIAL = ("keras", "Sequential")
# Allowed, too: what else models of this package and keras.applications have.
OTHERS = {
    SEQUENTIAL,
    ("keras.src.applications.convnext", "LayerScale"),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.ops.numpy", "Add"),
    ("keras.src.ops.numpy", "Multiply"),
    ("keras.src.ops.numpy", "Subtract"),
    ("keras.src.ops.numpy", "TrueDivide"),
}
TENSOR = "__keras_tensor__"  # the output of a layer


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
        if _check_objects(json.loads(config)) > MOST_CALLS:
            raise ValueError(
                f"{CONFIG} calls layers more than {MOST_CALLS:,} times"
            )
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


def _check_objects(item, depth: int = 0) -> int:
    """Refuse a configuration that names more than the parts of a model.

    Keras makes an object of whatever has a `class_name`, wherever it stands.

    Returns:
        How many layers Keras calls to build what is described.
    """
    if isinstance(item, list):
        return sum(_check_objects(part, depth) for part in item)
    if not isinstance(item, dict):
        return 0
    calls = 0
    if "class_name" in item:
        calls = int(_check_object(item))
        depth += 1
        if depth > DEEPEST_OBJECT:
            raise ValueError(
                f"{CONFIG} has more than {DEEPEST_OBJECT} objects, each within "
                "the one before"
            )
    if item.get("stateful"):  # Keras makes a state for each of a batch at once
        raise ValueError(f"{CONFIG} has a layer with a state between batches")
    calls += sum(_check_objects(value, depth) for value in item.values())
    nodes = item.get("inbound_nodes", ())
    for node in nodes:
        _check_node(node)
    return calls * max(1, len(nodes))


def _check_object(entry: dict) -> bool:
    """Refuse an object that is no part of a model; say whether it is called."""
    name, module = entry["class_name"], entry.get("module")
    if "config" in entry and name == TENSOR:
        return False
    # Without them, Keras would read it as it reads files of Keras 2.
    if not entry.keys() >= {"config", "module"}:
        raise ValueError(
            f"{CONFIG} has a {name!r:.50} without config or module"
        )
    if entry.get("compile_config"):
        raise ValueError(f"{CONFIG} has a compiled {name!r:.50}")
    # In the order of Keras: tensors and lambdas, what this process has
    # registered, then its own.
    is_function = name == "function"
    registered = keras.saving.get_registered_object(
        entry["config"] if is_function else entry.get("registered_name", name)
    )
    home, kind = KINDS.get(module, (None, ()))
    if name.startswith("__"):
        known = called = False
    elif registered is not None:
        known, called = True, _is_kind(registered, keras.layers.Layer)
    elif (module, name) in OTHERS:
        known = called = True
    else:
        part = getattr(home, name, None)
        known = _is_kind(part, kind) and name not in HARMFUL
        called = kind is keras.layers.Layer
    if not known:
        raise ValueError(
            f"{CONFIG} has a {name!r:.50} of {module!r:.50}. Only layers of "
            "Keras that run no program and read no file are made, and what "
            "this process has registered with Keras. Put any other operation "
            "in a registered layer"
        )
    if called and "shared_object_id" in entry:
        raise ValueError(
            f"{CONFIG} has the same {name!r:.50} twice, as models that share a "
            "layer do; give each its own"
        )
    if (module, name) == SEQUENTIAL:
        count = len(entry["config"]["layers"])
        if count > MOST_IN_SEQUENCE:
            raise ValueError(
                f"{CONFIG} has a Sequential of {count:,} layers; "
                f"{MOST_IN_SEQUENCE} may be. A functional model may have more"
            )
    return called


def _is_kind(part, kind) -> bool:
    return isinstance(part, type) and issubclass(part, kind)


def _check_node(node: dict) -> None:
    """Refuse a call on no output of a layer, which Keras would compute at once.

    A tensor as `training` does not count: a layer need not look at it.
    """
    arguments = [node["args"], {**node["kwargs"], "training": None}]
    if not _has_tensor(arguments):
        raise ValueError(f"{CONFIG} has a layer that is called on no other")


def _has_tensor(item) -> bool:
    if isinstance(item, list):
        return any(map(_has_tensor, item))
    if isinstance(item, dict):
        if "class_name" in item:
            return item["class_name"] == TENSOR
        return any(map(_has_tensor, item.values()))
    return False


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
        if name.count("/") > DEEPEST_GROUP:
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

    # Keras draws seeds. Restore Python's random state, so that seeded runs do
    # not depend on what was loaded before them.
    state = random.getstate()
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
