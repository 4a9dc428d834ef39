"""Files that were made to do harm are refused, and the process lives.

The sums of these exports are right: whoever changes a model can write new ones.
"""

import io
import json
import os
import random
import re
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python
from helpers.damage import DAMAGE, LINUX, MEMORY
from helpers.marks import only_thorough

import zoo
from recipes.lab.export import exporting
from zoo import _archive, _loading, lenet


def two_layers():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(4, name="out")(hidden))


def archive(parts, **options):
    """Return a zip archive of names and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as writer:
        for name, content in parts.items():
            writer.writestr(name, content)
    return file.getvalue()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The members of a good `model.keras`."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    two_layers().save(path)
    with zipfile.ZipFile(path) as reader:
        return {name: reader.read(name) for name in reader.namelist()}


def write_export(folder, content):
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(content)
    exporting._write_sums(folder)
    return folder


def refusal_of(content, folder):
    """Return what load_model says to a `model.keras` with the right sums."""
    export = write_export(folder / "export", content)
    _loading.check_sums(export)
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError) as refusal:
        zoo.load_model(export, verbose=False)
    assert sorted(folder.rglob("*")) == before
    message = str(refusal.value)
    assert message.startswith(f"{export / 'model.keras'} was refused: ")
    assert len(message) < 800, "Keras' configurations are no message"
    return message


# --- the archive --------------------------------------------------------


def with_member(name):
    return lambda parts: archive(parts | {name: b"harm"})


def without_member(name):
    return lambda parts: archive({k: v for k, v in parts.items() if k != name})


def compressed_bomb(parts):
    bomb = parts | {"config.json": bytes(100_000_000)}
    return archive(bomb, compression=zipfile.ZIP_DEFLATED)


def duplicate(parts):
    file = io.BytesIO(archive(parts))
    with zipfile.ZipFile(file, "a") as writer, pytest.warns(UserWarning):
        writer.writestr("config.json", b"{}")
    return file.getvalue()


def encrypted(parts):
    content = bytearray(archive(parts))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def overlapping(parts):
    """Three members that are one and the same."""
    content = archive(parts | {"model.weights.h5": bytes(50_000)})
    with zipfile.ZipFile(io.BytesIO(content)) as reader:
        weights = reader.getinfo("model.weights.h5")
        directory = bytearray(content[reader.start_dir :])
    start = 0
    for name in parts:  # the entries' sizes and sums, and where they lie
        entry = directory.index(b"PK\x01\x02", start)
        start = entry + 46 + len(name)
        for offset, value in [
            (16, weights.CRC),
            (20, weights.file_size),
            (24, weights.file_size),
            (42, weights.header_offset),
        ]:
            directory[entry + offset : entry + offset + 4] = value.to_bytes(
                4, "little"
            )
    return content[: -len(directory)] + directory


ARCHIVES = {
    "empty": (lambda parts: b"", "not a zip file"),
    "noise": (lambda parts: bytes(range(256)) * 9, "not a zip file"),
    "cut": (lambda parts: archive(parts)[:-99], "not a zip file"),
    "traversal": (with_member("../../harm"), "it holds .*../../harm"),
    "absolute": (with_member("/tmp/harm"), "it holds .*/tmp/harm"),
    "assets": (with_member("assets/harm"), "it holds .*assets/harm"),
    "NumPy": (with_member("model.weights.npz"), "it holds .*npz"),
    "no weights": (without_member("model.weights.h5"), "Keras writes"),
    "no configuration": (without_member("config.json"), "Keras writes"),
    "twice": (duplicate, "it holds .*config.json.*config.json"),
    "bomb": (compressed_bomb, "compressed or encrypted"),
    "encrypted": (encrypted, "compressed or encrypted"),
    "overlapping": (overlapping, "it claims 150,000 bytes and has"),
    "large configuration": (
        lambda parts: archive(parts | {"config.json": bytes(3 << 20)}),
        "config.json is larger than",
    ),
    "wrong sum": (
        lambda parts: archive(parts).replace(b'"hidden"', b'"hiddem"'),
        "Bad CRC-32",
    ),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_keras_did_not_write_is_refused(case, parts, tmp_path):
    change, reason = ARCHIVES[case]
    message = refusal_of(change(parts), tmp_path)
    assert re.search(reason, message), message


# --- the configuration --------------------------------------------------


def with_hidden(**changes):
    """Change the entry of the hidden layer."""

    def change(config):
        config["config"]["layers"][1].update(changes)

    return change


def with_hidden_config(**changes):
    """Change the arguments of the hidden layer."""

    def change(config):
        config["config"]["layers"][1]["config"].update(changes)

    return change


def layer(name, module="keras.layers", **config):
    """Have the hidden layer made by another class."""
    return with_hidden(
        class_name=name,
        module=module,
        registered_name=name,
        config={"name": "hidden", **config},
    )


def function(name, module):
    return {
        "class_name": "function",
        "config": name,
        "module": module,
        "registered_name": name,
    }


def lambda_layer(config):
    """Serialize a real one, as Keras does."""
    serialized = keras.saving.serialize_keras_object(
        keras.layers.Lambda(lambda x: open("harm", "w"), name="hidden")
    )
    with_hidden(**serialized)(config)


def thing(name, module, config=(), **entry):
    """What Keras would make anything of that it knows."""
    entry = {"module": module, "registered_name": None, **entry}
    return {"class_name": name, "config": dict(config), **entry}


def called_on(*args, **kwargs):
    """Have the hidden layer called on other arguments."""
    return with_hidden(inbound_nodes=[{"args": list(args), "kwargs": kwargs}])


def without_module(config):
    del config["config"]["layers"][1]["module"]


def twice_the_same(config):
    for entry in config["config"]["layers"][1:]:
        entry["shared_object_id"] = 7


def inside(times, wrap):
    """Put the hidden layer into others, each in the next."""

    def change(config):
        entry = config["config"]["layers"][1]
        inner = thing("Dense", "keras.layers", units=3)
        for number in range(times):
            inner = wrap(f"wrap{number}", inner)
        entry.update(inner)
        entry["config"]["name"] = "hidden"

    return change


def distributed(name, inner):
    return thing(
        "TimeDistributed", "keras.layers", {"name": name, "layer": inner}
    )


def sequence(count):
    layers = [
        thing("Identity", "keras.layers", {"name": f"same{number}"})
        for number in range(count)
    ]
    config = {"name": "hidden", "layers": layers}
    return with_hidden(**thing("Sequential", "keras", config))


def sequences(name, inner):
    """Ten of it, so that of each in the next there are powers of ten."""
    call = {"args": [TENSOR], "kwargs": {}}
    inner = {
        **inner,
        "name": inner["config"].get("name"),
        "inbound_nodes": [call] * 10,
    }
    config = {"name": name, "layers": [inner]}
    return thing("Functional", "keras.src.models.functional", config)


TENSOR = thing("__keras_tensor__", None)

NUMBERS = {"value": [1.0], "dtype": "float32"}

METRIC = thing("AUC", "keras.metrics", {"num_thresholds": 10**9})

PYTHON = {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}

ZOO = "zoo>scaled_tanh"  # registered

# What Keras must not even be asked for.
FORBIDDEN = {
    "Lambda": (lambda_layer, "'Lambda' of 'keras.layers'"),
    "lambda as activation": (
        with_hidden_config(activation=PYTHON),
        "'__lambda__' without config or module",
    ),
    "lambda by another name": (
        with_hidden_config(
            activation={**PYTHON, "module": "zoo", "registered_name": ZOO}
        ),
        "'__lambda__' of 'zoo'",
    ),
    "tensor": (
        with_hidden_config(
            activation=thing("__tensor__", "zoo", NUMBERS, registered_name=ZOO)
        ),
        "'__tensor__' of 'zoo'",
    ),
    "system as activation": (
        with_hidden_config(activation=function("system", "os")),
        "'function' of 'os'",
    ),
    "download": (
        with_hidden_config(activation=function("get_file", "keras.utils")),
        "'function' of 'keras.utils'",
    ),
    "function of Keras": (
        with_hidden_config(activation=function("deserialize", "builtins")),
        "'function' of 'builtins'",
    ),
    "function as a class": (
        with_hidden_config(
            activation=thing("deserialize", "keras.initializers")
        ),
        "'deserialize' of 'keras.initializers'",
    ),
    "class of another module": (
        layer("Popen", "subprocess", args=["touch", "harm"]),
        "'Popen' of 'subprocess'",
    ),
    "class that nobody registered": (
        layer("Unheard", "somewhere"),
        "'Unheard' of 'somewhere'",
    ),
    "class of a module within": (
        layer("layers.TFSMLayer", "keras", filepath="/tmp/harm"),
        "'layers.TFSMLayer' of 'keras'",
    ),
    "class where Keras has it": (
        layer("TFSMLayer", "keras.src.export.tfsm_layer"),
        "'TFSMLayer' of 'keras.src.export.tfsm_layer'",
    ),
    "operation": (
        layer("Switch", "keras.src.ops.core"),
        "'Switch' of 'keras.src.ops.core'.* Put any other operation in a",
    ),
    "metric": (with_hidden_config(kernel_regularizer=METRIC), "'AUC' of"),
    "metric of a compiled layer": (
        with_hidden(compile_config={"metrics": [METRIC]}),
        "a compiled 'Dense'",
    ),
    "of Keras 2": (without_module, "'Dense' without config or module"),
    "computed at once": (
        called_on(inputs=[[[1.0]]]),
        "called on no other",
    ),
    "computed at once in training": (
        called_on(inputs=[[[1.0]]], training=TENSOR),
        "called on no other",
    ),
    "computed at once on no tensor": (
        called_on({"class_name": "__keras_tensor__"}, inputs=[[[1.0]]]),
        "'__keras_tensor__' without config",
    ),
    "state": (with_hidden_config(stateful=True), "a state between batches"),
    "the same twice": (twice_the_same, "the same 'Dense' twice"),
    "one in another": (inside(11, distributed), "more than 10 objects"),
    "called again and again": (
        inside(4, sequences),
        "calls layers more than 1,500",
    ),
    "long": (sequence(101), "a Sequential of 101 layers"),
} | {
    name: (layer(name), f"'{name}' of 'keras.layers'")
    for name in sorted(_archive.HARMFUL - {"Lambda"})
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_is_no_part_of_a_model_is_refused_before_keras_sees_it(
    case, parts, tmp_path, monkeypatch
):
    change, reason = FORBIDDEN[case]
    config = json.loads(parts["config.json"])
    change(config)
    changed = parts | {"config.json": json.dumps(config)}
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", None)
    monkeypatch.setattr(keras.saving, "load_model", None)
    message = refusal_of(archive(changed), tmp_path)
    assert re.search(reason, message), message


CONFIGS = {
    "another width": (with_hidden_config(units=5), "expected axis -1"),
    "width below zero": (with_hidden_config(units=-5), "positive integer"),
    "no name": (with_hidden(name=None), "refused"),
    "no layers": (lambda config: config["config"].clear(), "refused"),
    "nothing": (lambda config: config.clear(), "describes no model"),
    "a layer": (
        lambda config: config.update(config["config"]["layers"][1]),
        "describes no model",
    ),
    "a function": (
        lambda config: config.update(function(ZOO, "builtins")),
        "describes no model",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_is_not_only_a_model_is_refused(
    case, parts, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where harm would show
    change, reason = CONFIGS[case]
    config = json.loads(parts["config.json"])
    change(config)
    changed = parts | {"config.json": json.dumps(config)}
    message = refusal_of(archive(changed), tmp_path)
    assert re.search(reason, message), message


class Program(tf.Module):
    """A SavedModel that writes a file as soon as it is loaded."""

    class Table(tf.saved_model.experimental.TrackableResource):
        def __init__(self, path):
            super().__init__()
            self.path = str(path)

        def _create_resource(self):
            return tf.raw_ops.MutableHashTableV2(
                key_dtype=tf.string, value_dtype=tf.string
            )

        def _initialize(self):
            tf.io.write_file(self.path, "harm")
            return tf.constant(1)

    def __init__(self, path):
        super().__init__()
        self.table = self.Table(path)

    @tf.function(input_signature=[tf.TensorSpec((None, 2))])
    def serve(self, x):
        return x


def test_no_program_beside_the_model_is_run(parts, tmp_path):
    """An operation that is called on no tensor calls what it likes at once."""
    harm, export = tmp_path / "harm", tmp_path / "export"
    tf.saved_model.save(Program(harm), str(export))
    harm.unlink(missing_ok=True)
    config = json.loads(parts["config.json"])
    branch = function("TFSMLayer", "keras.layers")
    layer("Switch", "keras.src.ops.core")(config)
    with_hidden(build_config=None)(config)
    called_on(0, [branch], str(export))(config)
    changed = parts | {"config.json": json.dumps(config)}
    (export / "model.keras").write_bytes(archive(changed))
    exporting._write_sums(export)
    with pytest.raises(ValueError, match="'Switch' of 'keras.src.ops.core'"):
        zoo.load_model(export, verbose=False)
    assert not harm.exists()


def test_a_bare_operation_belongs_in_a_layer(tmp_path):
    """An export of it fails, for it is loaded before it counts."""
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(3)(keras.ops.log1p(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="'Log1p' of .*in a registered layer"):
        _archive.load(tmp_path / "model.keras")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", "\xff", "[" * 100_000, "9" * 100_000]
)
def test_a_configuration_that_is_no_json_object_is_refused(
    text, parts, tmp_path
):
    content = text.encode("latin-1")
    refusal_of(archive(parts | {"config.json": content}), tmp_path)


# --- the weights --------------------------------------------------------

HIDDEN = "layers/dense/vars"


def kernel(data):
    """Replace the kernel of the hidden layer, of shape (2, 3)."""

    def change(file):
        del file[f"{HIDDEN}/0"]
        file[f"{HIDDEN}/0"] = data

    return change


def unstored(shape):
    """An array of any size takes no space until it is written to."""

    def change(file):
        del file[f"{HIDDEN}/0"]
        file[HIDDEN].create_dataset("0", shape, "f4")

    return change


def in_chunks(file):
    """A chunk may be larger than its array, and is unpacked all the same."""
    del file[f"{HIDDEN}/0"]
    file[HIDDEN].create_dataset(
        "0", (2, 3), "f4", chunks=(9, 9), maxshape=(9, 9)
    )


def large_chunk(file):
    """400 MB that are stored as 400 kB."""
    del file[f"{HIDDEN}/0"]
    array = file[HIDDEN].create_dataset(
        "0", (2, 3), "f4", chunks=(10_000, 10_000), maxshape=(None, None),
        compression="gzip",
    )  # fmt: skip
    array.id.write_direct_chunk((0, 0), zlib.compress(bytes(400_000_000)))


def squeezed(file):
    del file[f"{HIDDEN}/0"]
    zeros = np.zeros((1_000, 1_000), "f4")
    file[HIDDEN].create_dataset("0", data=zeros, compression="gzip")


def outside(file):
    """The values lie in another file."""
    del file[f"{HIDDEN}/0"]
    external = [("/etc/passwd", 0, 24)]
    file[HIDDEN].create_dataset("0", (2, 3), "f4", external=external)


def attribute(file):
    file[f"{HIDDEN}/0"].attrs["dtype"] = "bfloat16"


def deep(file):
    for _ in range(200):
        file = file.create_group("group")


def without(name):
    def change(file):
        del file[name]

    return change


def strings(file):
    del file[f"{HIDDEN}/0"]
    text = [["0.5"] * 3] * 2
    file[HIDDEN].create_dataset("0", data=text, dtype=h5py.string_dtype())


WEIGHTS = {
    "other shape": (kernel(np.zeros((3, 2))), r"\(3, 2\)"),
    "scalar": (kernel(0.0), r"shape=\(\)"),
    "missing": (without(f"{HIDDEN}/0"), "expected 2 variables"),
    "all of a layer": (without("layers/dense"), "expected 2 variables"),
    "all": (without("layers"), "expected 2 variables"),
    "not a number": (kernel(np.full((2, 3), np.nan)), "hidden/kernel"),
    "infinite": (kernel(np.full((2, 3), -np.inf)), "hidden/kernel"),
    "too large": (kernel(np.full((2, 3), 1e300)), "not finite"),
    "complex": (kernel(np.full((2, 3), 1j)), "no array of numbers"),
    "bytes": (kernel(np.full((2, 3), b"0.5")), "no array of numbers"),
    "strings": (strings, "no array of numbers"),
    "attribute": (attribute, "no array of numbers"),
    "not stored": (unstored((1_000_000_000,)), "claim 4,000,000,"),
    "compressed": (squeezed, "stored in chunks"),
    "in chunks": (in_chunks, "stored in chunks"),
    "larger than can be": (unstored((2**31, 2**30)), "claim 9,223,372,"),
    "soft link": (kernel(h5py.SoftLink("/layers/out/vars/0")), "SoftLink"),
    "link": (kernel(h5py.ExternalLink("/tmp/harm", "/x")), "ExternalLink"),
    "external": (outside, "external Dataset"),
    "deep": (deep, "too deep"),
}


def with_weights(parts, change):
    file = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        change(weights)
    return parts | {"model.weights.h5": file.getvalue()}


@pytest.mark.parametrize("case", WEIGHTS)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_weights_that_are_not_the_models_are_refused(case, parts, tmp_path):
    change, reason = WEIGHTS[case]
    content = archive(with_weights(parts, change))
    message = refusal_of(content, tmp_path)
    assert re.search(reason, message), message


@keras.saving.register_keras_serializable("test_hostile")
class Nested(keras.layers.Layer):
    """A layer whose own layers lie in a list within a list."""

    def build(self, shape):
        self.inner = [[keras.layers.Dense(3)]]
        self.inner[0][0].build(shape)

    def call(self, inputs):
        return self.inner[0][0](inputs)


def test_layers_whose_weights_are_missing_are_refused(tmp_path):
    """Keras only warns, and leaves them random weights."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, Nested()(inputs))
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as reader:
        parts = {name: reader.read(name) for name in reader.namelist()}
    assert zoo.load_model(write_export(tmp_path / "whole", archive(parts)))
    parts = with_weights(parts, without("layers/nested/inner/container"))
    message = refusal_of(archive(parts), tmp_path)
    assert "lacks those of some layers" in message


def test_weights_that_are_no_hdf5_are_refused(parts, tmp_path):
    weights = parts["model.weights.h5"]
    for number, damaged in enumerate((b"", weights[:-200], weights[9:])):
        content = archive(parts | {"model.weights.h5": damaged})
        message = refusal_of(content, tmp_path / str(number))
        assert "open file" in message


# --- memory -------------------------------------------------------------


def units(number):
    def change(parts):
        config = json.loads(parts["config.json"])
        config["config"]["layers"][2]["config"]["units"] = number
        return parts | {"config.json": json.dumps(config)}

    return change


def adapted(number):
    """A layer that computes with its weights while it is built."""

    def change(parts):
        inputs = keras.Input((77,))
        outputs = keras.layers.Normalization()(inputs)
        config = keras.saving.serialize_keras_object(
            keras.Model(inputs, outputs)
        )
        text = json.dumps(config).replace("77", str(number))
        return parts | {"config.json": text}

    return change


def quoted(parts):
    """An error that quotes two megabytes in each of ten objects."""
    config = json.loads(parts["config.json"])
    inside(6, distributed)(config)
    wrong = "x" * (_archive.LARGEST_CONFIG - 9_000)
    text = json.dumps(config).replace('"units": 3', f'"wrong": "{wrong}"', 1)
    return parts | {"config.json": text}


def table(parts):
    """A layer of ours that puts its weights at places of a large array."""
    inputs = keras.Input((4, 4, 1024))
    layer = lenet.TableConv2D([[0]], kernel_size=1)
    config = keras.saving.serialize_keras_object(
        keras.Model(inputs, layer(inputs))
    )
    text = json.dumps(config).replace("[[0]]", str([[0] * 200_000]))
    return parts | {"config.json": text}


BOMBS = {
    "archive": compressed_bomb,
    "table": lambda parts: archive(table(parts)),
    "quoted": lambda parts: archive(quoted(parts)),
    "chunk": lambda parts: archive(with_weights(parts, large_chunk)),
    "units": lambda parts: archive(units(10**8)(parts)),
    "normalization": lambda parts: archive(adapted(10**8)(parts)),
    "array": lambda parts: archive(with_weights(parts, unstored((10**8,)))),
}


@LINUX
@pytest.mark.thorough
def test_small_files_that_claim_much_take_no_memory(parts, tmp_path):
    for name, bomb in BOMBS.items():
        write_export(tmp_path / name, bomb(parts))
    good = write_export(tmp_path / "good", archive(parts))
    code = (
        MEMORY
        + """if True:
        import json, sys
        import zoo

        good, *bombs = sys.argv[1:]
        zoo.load_model(good)
        grown = {}
        for bomb in bombs:
            before = megabytes("VmHWM")
            try:
                zoo.load_model(bomb)
            except ValueError as error:
                assert "was refused" in str(error)
                grown[bomb] = megabytes("VmHWM") - before
        print(json.dumps(grown))
    """
    )
    bombs = [tmp_path / name for name in BOMBS]
    answer = run_python("-c", code, good, *bombs)
    assert answer.returncode == 0, answer.stderr
    grown = json.loads(answer.stdout)
    assert len(grown) == len(BOMBS), "a bomb was loaded"
    print(grown)
    assert max(grown.values()) < 100, grown


# --- what is no harm ----------------------------------------------------


@pytest.mark.parametrize(
    "name",
    only_thorough(
        zoo.list_models(),
        ("ann", "lenet5", "lstm", "transfer_classifier", "vae"),
    ),
)
def test_every_model_of_the_zoo_is_taken(name, tmp_path):
    model = zoo.create_model(name)
    model.save(tmp_path / "model.keras")
    state = random.getstate()
    loaded = _archive.load(tmp_path / "model.keras")
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    keras.saving.load_model(tmp_path / "model.keras")
    after = random.getstate()
    random.setstate(state)
    keras.saving.load_model(tmp_path / "model.keras")
    keras.saving.load_model(tmp_path / "model.keras")
    assert random.getstate() == after, "training after it would be another"


def stock(inputs):
    """Most of what may be said of a layer of Keras, and how it is called."""
    layers, l2 = keras.layers, keras.regularizers.L2(1e-4)
    x = layers.Rescaling(1 / 255, offset=[0.0, 0.0, 0.0])(inputs / 2 - 1)
    x = layers.Conv2D(
        4, 3, strides=2, activation=keras.activations.gelu,
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        kernel_regularizer=l2, bias_regularizer=l2,
        kernel_constraint=keras.constraints.MaxNorm(2), dtype="mixed_bfloat16",
    )(x)  # fmt: skip
    x = layers.BatchNormalization()(x)
    x = layers.Activation(layers.LeakyReLU(negative_slope=0.2))(x)
    x = layers.Reshape((9, 4))(layers.MaxPooling2D()(x))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    attention = layers.MultiHeadAttention(2, 4)
    x = layers.Add()([x, attention(query=x, value=x, use_causal_mask=True)])
    x = layers.TimeDistributed(layers.Dense(4, "relu"))(x)
    x = layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)])(x)
    body = keras.Sequential([keras.Input((3,)), layers.Dense(3, "tanh")])
    return layers.Dense(2, "softmax")(body(body(x)))


def test_stock_layers_of_every_kind_are_taken(tmp_path):
    inputs = keras.Input((14, 14, 3))
    model = keras.Model(inputs, stock(inputs))
    model.save(tmp_path / "model.keras")
    loaded = _archive.load(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 14, 14, 3))
    np.testing.assert_array_equal(model(images), loaded(images))


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in dir(keras.applications)
            if name[0].isupper() and name != "MobileNetV3Small"
        ),
    ],
)
def test_every_network_of_keras_is_taken(name):
    network = getattr(keras.applications, name)(weights=None)
    config = keras.saving.serialize_keras_object(network)
    text = json.dumps(config)
    assert len(text) < _archive.LARGEST_CONFIG / 1.5
    calls = _archive._check_objects(json.loads(text))
    assert len(network.layers) <= calls < _archive.MOST_CALLS / 1.2


def test_the_sums_are_looked_at_first(parts, tmp_path, monkeypatch):
    export = write_export(tmp_path / "export", archive(parts))
    (export / "model.keras").write_bytes(compressed_bomb(parts))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    monkeypatch.setattr(keras.saving, "load_model", None)
    with pytest.raises(ValueError, match="model.keras was changed"):
        zoo.load_model(export)


@pytest.mark.parametrize("name", ["../harm", "/etc/passwd", "\0", "harm"])
def test_sums_of_files_elsewhere_are_refused(name, parts, tmp_path):
    (tmp_path / "harm").touch()
    export = write_export(tmp_path / "export", archive(parts))
    with open(export / "SHA256SUMS", "a") as sums:
        sums.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(ValueError, match="is missing"):
        zoo.load_model(export)


@LINUX
@pytest.mark.parametrize("endless", ["/dev/zero", "pipe"])
def test_sums_without_end_are_refused(endless, parts, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    export = write_export(tmp_path / "family" / "1", archive(parts))
    (export / "SHA256SUMS").unlink()
    (export / "SHA256SUMS").symlink_to(tmp_path / endless)
    with pytest.raises(ValueError, match="no readable SHA256SUMS"):
        zoo.load_model(export.parent)


def test_a_file_without_end_is_not_read(parts, tmp_path):
    """A file may claim terabytes that are nowhere on the disk."""
    export = write_export(tmp_path / "export", archive(parts))
    os.truncate(export / "model.keras", 5 << 40)
    with pytest.raises(ValueError, match="model.keras grew beyond 4,294,967"):
        zoo.load_model(export)


# --- noise --------------------------------------------------------------


@LINUX
@pytest.mark.faults
def test_damaged_archives_are_refused_or_loaded(parts, tmp_path):
    """With the right sums, of the archive and of its members."""
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    code = (
        MEMORY
        + DAMAGE
        + """if True:
        import collections, json, os, sys, warnings, zipfile
        from zoo import _archive

        warnings.simplefilter("ignore")
        os.chdir(sys.argv[1])
        parts = {
            name: pathlib.Path(name).read_bytes()
            for name in ("metadata.json", "config.json", "model.weights.h5")
        }
        generator = np.random.default_rng(0)
        outcomes = collections.Counter()
        for number in range(1_000):
            name = ("model.weights.h5", "config.json")[number % 2]
            changed = parts | {name: damaged(parts[name], generator)}
            with zipfile.ZipFile("model.keras", "w") as archive:
                for member, content in changed.items():
                    archive.writestr(member, content)
            if number % 20 == 0:  # the archive itself
                path = pathlib.Path("model.keras")
                path.write_bytes(damaged(path.read_bytes(), generator))
            if number == 2:
                started = megabytes("VmHWM")
            try:
                _archive.load(pathlib.Path("model.keras"))
                outcomes["loaded"] += 1
            except ValueError as error:
                assert "was refused" in str(error)
                outcomes["refused"] += 1
        outcomes["grown by"] = megabytes("VmHWM") - started
        print(json.dumps(outcomes))
    """
    )
    answer = run_python("-c", code, tmp_path, timeout=600)
    assert answer.returncode == 0, answer.stderr
    outcomes = json.loads(answer.stdout)
    print(outcomes)
    assert outcomes["loaded"] + outcomes["refused"] == 1_000
    assert outcomes["refused"] > 500
    assert outcomes["grown by"] < 300, outcomes  # megabytes
