"""chaos.py kills, and sees what a killed training must not leave."""

import argparse
import json
import shutil
import sys
import time

import chaos
import pytest
from helpers.commands import ROOT, run_python


@pytest.fixture
def output(dry_run, tmp_path):
    """The output folder of a finished run, to be damaged."""
    return shutil.copytree(dry_run, tmp_path / "output")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-3])


DAMAGES = {
    # name: what is damaged, how, what is said of it
    "checkpoint": ("runs/*/1/checkpoints/train/*.npz", cut_short, "not whole"),
    "JSON": ("runs/*/1/config.json", cut_short, "JSONDecodeError"),
    "no schema": ("runs/*/1/config.json", lambda p: p.write_text("{}"),
                  "KeyError"),
    "half a row": ("runs/*/1/history.csv", cut_short, "not whole"),
    "few columns": ("runs/*/1/history.csv",
                    lambda p: p.write_text(p.read_text() + "1,2\n"),
                    "not whole"),
    "report": ("runs/*/1/report.html", cut_short, "not whole"),
    "picture": ("runs/*/1/plots/curves.png", cut_short, "not whole"),
    "file of the export": ("saved_models/*/1/saved_model.pb", cut_short,
                           "saved_model.pb was changed"),
    "half an export": ("saved_models/*/1/model.keras", lambda p: p.unlink(),
                       "model.keras is missing"),
    "no sums": ("saved_models/*/1/SHA256SUMS", lambda p: p.unlink(),
                "no readable SHA256SUMS"),
    "two runs": ("runs/mnist_cnn-sample", lambda p: (p / "2").mkdir(),
                 "there are 2 runs"),
    "another file": ("runs/mnist_cnn-sample/1",
                     lambda p: (p / "a.part").touch(),
                     "no run writes such a file"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_named(output, damage):
    pattern, do, said = DAMAGES[damage]
    assert chaos.problems(output) == []
    [path] = output.glob(pattern)
    do(path)
    [problem] = chaos.problems(output)
    assert said in problem
    assert str(output) in problem


def test_two_runs_that_ended_alike_do_not_differ(output, dry_run):
    assert chaos.differences(output, dry_run) == []


def test_differences_are_named(output, dry_run):
    [record] = output.glob("runs/*/1/metrics.json")
    content = json.loads(record.read_text())
    content["metrics"]["test_accuracy"] = 2.0
    record.write_text(json.dumps(content))
    (output / "runs" / ".tmp-1-report.html").touch()
    shutil.copytree(
        *(output / "saved_models/mnist_cnn-sample" / name for name in "12")
    )
    leftover, metrics, exports = chaos.differences(output, dry_run)
    assert ".tmp-1-report.html is left over" in leftover
    assert "'test_accuracy': 2.0" in metrics
    assert "there are 2 exports" in exports


# It says what a recipe says, and does what FAULT says.
RECIPE = """
import pathlib, sys, time

print("run 1")
for epoch in (1, 2, 3):
    time.sleep(0.05)
    FAULT
    print(f"epoch {epoch}/3  loss 0.1")
print("exported and verified 1")
time.sleep(0.2)
print("report 1")
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("pass", "0 epochs are kept of [123] that it had said"),
        ("if 'killed' in sys.argv[-1]: sys.exit(3)", "ended with .3. unkilled"),
        ("sys.exit(3)", "ended with 3"),
    ],
)
def test_what_does_not_hold_ends_it(fault, said, tmp_path):
    command = [sys.executable, "-c", RECIPE.replace("FAULT", fault)]
    arguments = argparse.Namespace(seed=0, kills=5, workers=1)
    with pytest.raises(chaos.Broken, match=said):
        chaos.run(tmp_path, command, 3, arguments)


@pytest.mark.faults
def test_a_training_that_is_killed_ends_as_if_it_had_not_been():
    done = run_python(
        *("tests/survival/chaos.py", "--recipe", "mnist_softmax_regression"),
        *("--offline", "--kills", 2, "--epochs", 3),
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("epochs kept") == 2
    assert "bit for bit" in done.stdout


@pytest.mark.faults
def test_a_worker_that_is_lost_after_training_takes_nothing_along(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, "-m", "recipes.mnist_autoencoder"]
    command += ["--epochs", "1", "--offline"]
    with chaos.Attempt(command, tmp_path, workers=2, epochs=1) as attempt:
        while not attempt.when("exported "):
            assert attempt.processes[0].poll() is None, attempt.last_words()
            time.sleep(0.01)
        attempt.kill(1)
        assert attempt.processes[0].wait() == 0, attempt.last_words()
    assert list(tmp_path.glob("runs/*/1/metrics.json"))
