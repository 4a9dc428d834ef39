"""Real processes that are killed, starved of disk, or started twice.

Each runs `DRIVER`: a recipe on the embedded digits, and one fault.
"""

import shutil
import signal
import time

import numpy as np
import pytest
from helpers.ends import assert_same_end
from helpers.forks import Fork

pytestmark = pytest.mark.faults

RECIPE = "mnist_cnn"  # it has batch normalization and augmentation
EPOCHS = 4

# FAULT is "<where> <n> <what>": at the n-th time of where, do what.
DRIVER = """
import importlib, os, pathlib, resource, signal, sys, time

# A shell has its background jobs ignore it, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)

where, number, what = os.environ.get("FAULT", "nowhere 0 nothing").split()
seen = 0

def reached(place):
    global seen
    seen += place == where
    if (place, seen) != (where, int(number)):
        return
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    elif what == "wait":
        pathlib.Path("waiting").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.1)
    else:  # the disk is full
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(what), limit))

replace = os.replace

def replace_with_faults(source, target):
    checkpoint = str(target).endswith(".npz")
    if checkpoint:
        reached("before-rename")
    replace(source, target)
    if checkpoint:
        reached("after-rename")

os.replace = replace_with_faults

from recipes.lab import command
from recipes.lab.data import sample

sample.PASSES = 1  # short epochs are enough to be killed in

quietly = command._import_tensorflow_quietly

def import_with_faults():
    quietly()
    import keras

    callbacks = keras.callbacks.CallbackList
    for name in ("on_train_batch_end", "on_train_end"):
        def with_fault(
            self, *args, _name=name, _real=getattr(callbacks, name), **options
        ):
            _real(self, *args, **options)
            reached(_name)
        setattr(callbacks, name, with_fault)

command._import_tensorflow_quietly = import_with_faults

recipe = importlib.import_module("recipes." + sys.argv[1])
sys.exit(recipe.main([*sys.argv[2:], "--batch-size", "64", "--offline"]))
"""
STEPS = 1_297 // 64


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    return tmp_path


def start(folder, *flags, fault=None, recipe=RECIPE, epochs=EPOCHS):
    """Start a recipe in a folder."""
    env = {"TFDS_DATA_DIR": str(folder / "nowhere")}
    if fault:
        env["FAULT"] = fault
    flags = (recipe, "--epochs", epochs, *flags)
    return Fork("driver.py", *flags, cwd=folder, env=env)


def run(folder, *flags, **options):
    """Run a recipe in a folder to its end, whatever that is."""
    done = start(folder, *flags, **options).ends()
    assert "Traceback" not in done.stderr, done.stderr
    return done


def checkpoints(folder):
    train = folder / "runs" / f"{RECIPE}-sample" / "1" / "checkpoints" / "train"
    return sorted(train.glob("[0-9]*.npz"))


def epochs(folder):
    return [int(path.name[:6]) for path in checkpoints(folder)]


def leftovers(folder):
    return [p for p in folder.rglob("*") if p.name.startswith(".tmp")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return unbroken_in(tmp_path_factory.mktemp("unbroken"))


def unbroken_in(folder, **options):
    (folder / "driver.py").write_text(DRIVER)
    done = run(folder, **options)
    assert done.returncode == 0, done.stderr
    return folder


def test_killed_three_times_it_ends_bit_for_bit_like_the_unbroken_run(
    folder, unbroken
):
    # In the midst of the second epoch.
    killed = run(folder, fault=f"on_train_batch_end {STEPS + 5} SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert epochs(folder) == [1]

    # In the midst of a save: written, but not yet under its name.
    killed = run(folder, fault="before-rename 2 SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert "resuming after epoch 1 of 4" in killed.stdout
    assert epochs(folder) == [1, 2]
    assert [p.name.split("-")[2] for p in leftovers(folder)] == ["000003"]

    # In the midst of another: under its name, the older ones still there.
    killed = run(folder, fault="after-rename 1 SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert "resuming after epoch 2 of 4" in killed.stdout
    assert epochs(folder) == [1, 2, 3]

    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch 3 of 4" in done.stdout
    assert "damaged" not in done.stderr
    assert epochs(folder) == [3, 4]
    assert not leftovers(folder)
    assert [
        p.name for p in (folder / "runs" / f"{RECIPE}-sample").iterdir()
    ] == ["1"]
    rows = (
        folder / "runs" / f"{RECIPE}-sample" / "1" / "history.csv"
    ).read_text()
    assert len(rows.splitlines()) == 1 + EPOCHS
    assert_same_end(folder, unbroken)


def test_a_game_that_is_killed_loses_neither_an_optimizer_nor_a_seed(
    folder, tmp_path_factory
):
    game = {"recipe": "mnist_gan", "epochs": 2}
    fault = f"on_train_batch_end {STEPS + 5} SIGKILL"
    assert run(folder, fault=fault, **game).returncode == -signal.SIGKILL
    done = run(folder, **game)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch 1 of 2" in done.stdout
    unbroken = unbroken_in(tmp_path_factory.mktemp("game"), **game)
    assert_same_end(folder, unbroken)


def test_a_run_that_continues_another_survives_being_killed(
    folder, tmp_path_factory
):
    """It ends with the bits of one that continues the same and is not."""
    assert run(folder, epochs=1).returncode == 0
    other = tmp_path_factory.mktemp("continued")
    shutil.copytree(folder / "runs", other / "runs")
    more = ["--continue-from", "1", "--run-name", "more"]
    fault = f"on_train_batch_end {STEPS + 5} SIGKILL"
    killed = run(folder, *more, fault=fault, epochs=2)
    assert killed.returncode == -signal.SIGKILL
    done = run(folder, *more, epochs=2)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch 1 of 2" in done.stdout
    (other / "driver.py").write_text(DRIVER)
    assert run(other, *more, epochs=2).returncode == 0
    shutil.rmtree(other / "runs" / f"{RECIPE}-sample" / "1")
    assert_same_end(folder, other, "more")


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        pytest.param("SIGINT", 130, "interrupted", marks=pytest.mark.slow),
        ("SIGTERM", 143, "preempted"),
    ],
)
def test_a_signal_leaves_a_run_that_can_go_on(
    name, code, word, folder, unbroken
):
    ended = run(folder, fault=f"on_train_batch_end {STEPS + 5} {name}")
    assert ended.returncode == code
    assert "stopped; 1 of 4 epochs are kept in" in ended.stderr
    assert f"{word}. Run the same command again to resume." in ended.stderr
    assert epochs(folder) == [1]
    assert not leftovers(folder)
    assert not (folder / "saved_models").exists()
    assert run(folder).returncode == 0
    assert_same_end(folder, unbroken)


def test_a_full_disk_in_the_midst_of_a_checkpoint(folder):
    ended = run(folder, fault=f"on_train_batch_end {STEPS + 5} 20000")
    assert ended.returncode == 1
    assert "error: [Errno 27] File too large: " in ended.stderr
    assert "000002-" in ended.stderr
    assert epochs(folder) == [1]
    assert not leftovers(folder)
    assert not (folder / "saved_models").exists()
    with np.load(checkpoints(folder)[0]) as file:
        assert all(array.size for array in dict(file).values())


def test_a_full_disk_in_the_midst_of_an_export(folder, unbroken):
    ended = run(folder, fault="on_train_end 1 20000")
    assert ended.returncode == 1
    assert "The export to saved_models" in ended.stderr
    assert "nothing of it was kept" in ended.stderr
    assert epochs(folder) == [3, 4]
    assert not leftovers(folder)
    assert not list((folder / "saved_models").glob("*/*"))
    assert not (
        folder / "runs" / f"{RECIPE}-sample" / "1" / "metrics.json"
    ).exists()

    done = run(folder)  # there is room again
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" not in done.stdout
    assert len(list((folder / "saved_models").glob("*/1"))) == 1
    assert_same_end(folder, unbroken)


def test_the_same_command_started_twice_at_once(folder, unbroken):
    first = start(folder, fault="on_train_batch_end 5 wait")
    try:
        deadline = time.monotonic() + 100
        while not (folder / "waiting").exists():
            assert first.process.is_alive(), first.ends()
            assert time.monotonic() < deadline
            time.sleep(0.1)

        # By name the run is refused, and nothing is waited for.
        refused = run(folder, "--run-name", "1")
        assert refused.returncode == 1
        assert (
            "runs/mnist_cnn-sample/1 is in use by another process"
            in refused.stderr
        )

        # Without a name there is room for both.
        second = run(folder)
        assert second.returncode == 0, second.stderr
        (folder / "go").touch()
        done = first.ends()
        assert done.returncode == 0, done.stderr
    finally:
        first.process.kill()
        first.process.join()
    runs = (folder / "runs" / f"{RECIPE}-sample").iterdir()
    assert sorted(path.name for path in runs) == ["1", "2"]
    exports = (folder / "saved_models" / f"{RECIPE}-sample").iterdir()
    assert sorted(path.name for path in exports) == ["1", "2"]
    for number in ("1", "2"):
        assert_same_end(folder, unbroken, number)
