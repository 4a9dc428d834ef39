"""A run that was cut off resumes as what it was, or not at all."""

import importlib.util
import json
import re
import shutil
import sys

import keras
import numpy as np
import pytest
from helpers.commands import ROOT

from recipes import mnist_cnn
from recipes.lab.runs import identity
from recipes.lab.runs.folder import sum_of

RECIPE = '''
"""A small recipe, as a user would write one."""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, run_command
from recipes.lab.flags import RunOptions
from recipes.lab.metrics import ACCURACY

TARGETS = (Target(ACCURACY, 0.5),)


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    epochs: int = 4
    """How often training sees every image."""
    batch_size: int = 50
    run: RunOptions = RunOptions()


def train(config):
    import keras

    import zoo
    from recipes.lab import runs, tasks, training
    from recipes.lab.data import augmentation
    from my_networks import make_network

    with runs.open_run(config, "mnist") as run:
        with run.scope():
            model = make_network(hidden_units=(16,))
            model.compile(
                optimizer=keras.optimizers.Adam(0.01),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
        history = training.fit(
            run,
            model,
            run.data.validation,  # it is small
            augment=augmentation.random_shift,
        )
        task = tasks.Classification(run.data)
        scores = task.score(model, run.data.test)
        return run.finish(task, model, scores, history)


def main(argv=None):
    return run_command(train, Config, TARGETS, argv)
'''

NETWORKS = '''
"""Networks of my own."""

import zoo


def make_network(**options):
    return zoo.create_model("mlp", dropout=0.3, **options)
'''


class Recipe:
    """The recipe in a folder of its own, to be edited and run."""

    def __init__(self, folder, monkeypatch, capsys):
        self.folder, self.capsys = folder, capsys
        self.monkeypatch = monkeypatch
        (folder / "my_recipe.py").write_text(RECIPE)
        (folder / "my_networks.py").write_text(NETWORKS)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("TFDS_DATA_DIR", str(folder / "nowhere"))

    @property
    def runs(self):
        return self.folder / "runs" / "my_recipe-sample"

    def edit(self, old, new, file="my_recipe.py"):
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def run(self, *flags, stop=None):
        """Run it as a new process would; return the exit code and its words.

        Args:
            flags: Flags of the command.
            stop: Epoch that Ctrl-C is pressed in.
        """
        for name in ("my_recipe", "my_networks"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        spec = importlib.util.spec_from_file_location(
            "my_recipe", self.folder / "my_recipe.py"
        )
        module = importlib.util.module_from_spec(spec)
        self.monkeypatch.setitem(sys.modules, "my_recipe", module)
        # Files that are edited within a second look alike to Python's cache.
        self.monkeypatch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
        flags = [*flags, "--output-dir", str(self.folder), "--offline"]
        with self.monkeypatch.context() as patch:
            begin = keras.callbacks.CallbackList.on_epoch_begin

            def begin_or_stop(callbacks, epoch, logs=None):
                if epoch == stop:
                    raise KeyboardInterrupt
                begin(callbacks, epoch, logs)

            patch.setattr(
                keras.callbacks.CallbackList, "on_epoch_begin", begin_or_stop
            )
            code = module.main(flags)
        return code, "".join(self.capsys.readouterr())

    def bits(self, run="1"):
        """The variables after the last epoch."""
        [*_, newest] = sorted(self.runs.glob(f"{run}/checkpoints/train/*"))
        with np.load(newest) as file:
            return {name: file[name] for name in file if name != "meta"}

    def record(self, run="1", file="metrics.json"):
        return json.loads((self.runs / run / file).read_text())


@pytest.fixture
def recipe(tmp_path, monkeypatch, capsys, no_export):
    return Recipe(tmp_path, monkeypatch, capsys)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


CHANGES = {
    "loss": ('"sparse_categorical_crossentropy"',
             "keras.losses.SparseCategoricalCrossentropy(ignore_class=3)"),
    "optimizer": ("Adam(0.01)", "SGD(0.01)"),
    "augmentation": ("random_shift", "random_flip"),
    "width": ("(16,)", "(24,)"),
}  # fmt: skip


def test_an_edited_recipe_is_refused_and_the_old_one_resumes(recipe):
    recipe.run()
    unbroken = recipe.bits()
    shutil.rmtree(recipe.runs)

    assert recipe.run(stop=2)[0] == 130
    for old, new in CHANGES.values():
        recipe.edit(old, new)
        code, said = recipe.run()
        assert code == 2
        assert (
            f"{recipe.runs / '1'} is unfinished, and not all is as it was when "
            "it began: my_recipe.py has changed. Put that back to resume it;"
        ) in said
        recipe.edit(new, old)
    recipe.edit("dropout=0.3", "dropout=0.4", file="my_networks.py")
    assert "began: my_networks.py has changed" in recipe.run()[1]
    recipe.edit("dropout=0.4", "dropout=0.3", file="my_networks.py")

    # Words change nothing.
    recipe.edit("as a user would write one", "as nobody would write one")
    recipe.edit("How often training sees every image.", "Epochs.")
    recipe.edit("    with runs", "    # Open the run.\n\n    with runs")
    code, said = recipe.run()
    assert code == 0
    assert "resuming after epoch 2 of 4" in said
    assert_same_bits(recipe.bits(), unbroken)
    assert recipe.record()["changes"] == []
    assert [path.name for path in recipe.runs.iterdir()] == ["1"]


@pytest.mark.thorough
def test_an_edited_recipe_starts_anew_when_told(recipe):
    assert recipe.run(stop=1)[0] == 130
    recipe.edit("Adam(0.01)", "SGD(0.01)")
    code, said = recipe.run()
    assert code == 2
    assert "--if-changed restart to start anew" in said
    code, said = recipe.run("--if-changed", "restart", stop=1)
    assert code == 130
    assert f"run {recipe.runs / '2'}" in said
    # It is the one to resume now, and what was left behind disturbs nobody.
    code, said = recipe.run()
    assert code == 0
    assert f"continuing {recipe.runs / '2'}" in said
    assert f"run {recipe.runs / '3'}" in recipe.run(stop=1)[1]


@pytest.mark.thorough
def test_an_edited_recipe_starts_anew_under_another_name(recipe):
    named = ("--run-name", "mine")
    assert recipe.run(*named, stop=1)[0] == 130
    recipe.edit("Adam(0.01)", "SGD(0.01)")
    for more in ((), ("--if-changed", "restart")):
        code, said = recipe.run(*named, *more)
        assert code == 2
        assert "take another --run-name to start anew" in said
    assert recipe.run("--run-name", "other")[0] == 0


def test_a_slip_after_the_training_costs_no_training(recipe):
    recipe.edit("return run.finish(task", "return run.finish(undefined")
    with pytest.raises(NameError):
        recipe.run()
    recipe.edit("run.finish(undefined", "run.finish(task")
    code, said = recipe.run("--if-changed", "resume")
    assert code == 0
    assert "resuming after epoch 4 of 4" in said
    assert "not as it was then: my_recipe.py has changed" in said
    change = ["my_recipe.py has changed"]
    assert recipe.record()["changes"] == change
    assert recipe.record(file="config.json")["changes"] == change


@pytest.mark.thorough
def test_a_run_without_an_epoch_has_nothing_to_lose(recipe):
    assert recipe.run(stop=0)[0] == 130
    recipe.edit("Adam(0.01)", "SGD(0.01)")
    for flags in ((), ("--run-name", "1")):
        code, said = recipe.run(*flags, stop=0)
        assert code == 130
        assert f"{recipe.runs / '1'}\n" in said
    assert recipe.run()[0] == 0
    assert [path.name for path in recipe.runs.iterdir()] == ["1"]


@pytest.mark.thorough
def test_a_run_of_before_code_was_written_down_is_refused(recipe):
    assert recipe.run(stop=1)[0] == 130
    config = recipe.record(file="config.json")
    del config["settings"]["source"], config["settings"]["loaded"]
    del config["versions"], config["changes"]
    config["sum"] = sum_of(config["settings"])
    (recipe.runs / "1" / "config.json").write_text(json.dumps(config))
    code, said = recipe.run()
    assert code == 2
    assert "began: its code was not written down" in said
    assert recipe.run("--if-changed", "resume")[0] == 0


@pytest.mark.thorough
def test_other_versions_are_said_and_recorded(recipe, monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.12.0")
    assert recipe.run(stop=1)[0] == 130
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    assert "as it was then: keras 3.12.0 became 3.99.0" in recipe.run(stop=2)[1]
    assert "as it was then" not in recipe.run()[1]
    assert recipe.record()["changes"] == ["keras 3.12.0 became 3.99.0"]


# --- the code ------------------------------------------------------------


def source_of(config):
    return identity.source(config, sys._getframe())


def test_the_code_of_a_run_is_what_it_trains_with():
    files = source_of(mnist_cnn.Config()).keys()
    assert {
        *(
            "recipes/mnist_cnn.py",
            "recipes/lab/training/fitting.py",
            "zoo/convolutional.py",
        ),
        *(
            "recipes/lab/data/sources.py",
            "recipes/lab/data/augmentation.py",
            "test_identity.py",
        ),
    } <= files
    assert not [file for file in files if file.startswith(identity._RECORDERS)]
    assert "recipes/mnist_lenet5.py" not in files
    for place in identity._RECORDERS:
        assert (ROOT / place).exists()


CELL = """
from recipes import mnist_cnn
from recipes.lab.runs import identity
import sys

def augment(images): return images + {number}

def train():
    def inner(): return augment
    return identity.source(mnist_cnn.Config(), sys._getframe())
"""


def test_the_code_of_a_notebook_counts(monkeypatch):
    """IPython keeps what was typed where Python looks for lines."""
    sums = []
    for number in (1, 1, 2):
        text, name = CELL.format(number=number), f"<cell {len(sums)}>"
        monkeypatch.setitem(
            importlib.import_module("linecache").cache,
            name,
            (len(text), None, text.splitlines(True), name),
        )
        names = {}
        exec(compile(text, name, "exec"), names)  # noqa: S102
        sums.append(names["train"]())
    first, same, other = sums
    assert first == same
    assert first["train()"] == other["train()"]
    assert first["augment()"] != other["augment()"]
    # What nobody keeps cannot count.
    names = {}
    exec(CELL.format(number=1), names)  # noqa: S102
    assert "recipes/mnist_cnn.py" in names["train"]()


def test_only_so_many_files_are_named():
    before = {"source": {f"{i}.py": "a" for i in range(6)}, "loaded": []}
    now = {"source": {f"{i}.py": "b" for i in range(6)}, "loaded": []}
    assert identity.changes(before, before) == []
    assert identity.changes(before, now) == [
        "0.py, 1.py, 2.py and 3 more have changed"
    ]


# --- what is loaded ------------------------------------------------------


def test_what_is_loaded_has_a_name_a_version_and_a_sum(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [shipped] = identity.loaded(["mnist_cnn@shipped"])
    assert (shipped["name"], shipped["version"]) == ("mnist_cnn", "1")
    assert re.fullmatch("[0-9a-f]{64}", shipped["sum"])
    (tmp_path / "a.weights.h5").write_bytes(b"")
    [file] = identity.loaded([str(tmp_path / "a.weights.h5"), None])
    assert file["name"] == "a.weights.h5"
    assert file["sum"].startswith("e3b0c442")
    for nothing in ("cnn", "MobileNetV3Small", "imagenet", "no such", None):
        assert identity.loaded([nothing]) == []

    local = tmp_path / "saved_models" / "mnist_cnn" / "2"
    shutil.copytree(ROOT / "saved_models/mnist_cnn/1", local)
    (local / "model.keras").write_text("")
    assert identity.loaded(["mnist_cnn@shipped"]) == [shipped]
    [trained] = identity.loaded(["mnist_cnn"])
    assert trained["version"] == "2"
    found = identity.changes(
        {"source": {}, "loaded": [shipped]}, {"source": {}, "loaded": [trained]}
    )
    assert found == [
        f"mnist_cnn version 1 (sha256 {shipped['sum'][:12]}) became "
        "mnist_cnn version 2 (sha256 e3b0c44298fc)"
    ]
