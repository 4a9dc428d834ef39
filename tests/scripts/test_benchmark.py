"""Benchmarks measure what they say, on real data alone."""

import concurrent.futures
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import benchmark
import numpy as np
import pytest
from benchmarks import (
    clocks,
    growth,
    peers,
    precision,
    recipe_runs,
    scaling,
    serving,
)
from helpers.records import record


@pytest.mark.thorough
def test_callers_get_answers_and_memory_stays(export, capsys):
    arguments = ["serving", "--export", str(export)]
    arguments += ["--callers", "4", "--seconds", "1"]
    assert benchmark.main(arguments) == 0
    output = capsys.readouterr().out
    for signature in ("serving_default", "image_bytes"):
        assert re.search(
            rf"{signature} +\d+ requests/s, [\d,]+ images/s, latency "
            r"p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms",
            output,
        )
    assert "errors 0" in output


@pytest.mark.slow
def test_files_are_asked_about_in_three_ways(capsys):
    benchmark.main(["predict", "--files", "100", "--rounds", "1"])
    *ways, last = capsys.readouterr().out.splitlines()
    assert [way.split("  ")[0] for way in ways] == [
        *("python -m zoo predict", "Pillow and keras predict"),
        "tf.data and image_bytes",
    ]
    for way in ways:
        assert re.search(r" [\d,]+ files/s, [\d,]+ us .* \d+ MB$", way)
    assert re.match(r"ours is [\d.]+ times as fast as the faster one", last)


def test_an_autoencoder_is_called_too(autoencoder_dry_run, capsys):
    export = autoencoder_dry_run / "saved_models/mnist_autoencoder-sample/1"
    arguments = ["serving", "--export", str(export), "--seconds", "0.2"]
    assert benchmark.main(arguments) == 0
    assert "image_bytes" not in capsys.readouterr().out


@pytest.mark.thorough
def test_a_server_is_called_over_http(export, capsys):
    pytest.importorskip("aiohttp")
    arguments = ["serving", "--http", "--export", str(export)]
    arguments += ["--callers", "1", "4", "--seconds", "1"]
    assert benchmark.main(arguments) == 0
    output = capsys.readouterr().out
    for form in ("predict", "infer"):
        assert len(re.findall(rf"^{form} +\d+ requests/s", output, re.M)) == 2
    assert "memory of the server" in output and "errors 0" in output


def test_several_numbers_of_callers_are_for_http(capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(["serving", "--callers", "1", "4"])
    assert end.value.code == 2
    assert "with --http only" in capsys.readouterr().err


def broken(size):
    raise RuntimeError("broken")


@pytest.mark.parametrize("failing", [broken, lambda size: {"p": np.ones(size)}])
def test_errors_and_other_answers_are_counted(failing, monkeypatch, capsys):
    def check(answer, size):
        np.testing.assert_array_equal(answer["p"], np.zeros(size))

    questions = [
        ("good", lambda size: {"p": np.zeros(size)}, check),
        ("bad", failing, check),
    ]
    results, errors = serving.call_together(questions, 2, 0)
    assert len(results["good"][0]) == len(errors) == 2
    assert len(results["bad"][0]) == 0
    assert all(error.startswith("bad: ") for error in errors)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("grown", "errors", "code"), [(1, [], 0), (65, [], 1), (0, ["bad: x"], 1)]
)
def test_errors_and_growing_memory_are_a_failure(
    grown, errors, code, export, monkeypatch, capsys
):
    memory = iter([100, 200, 200 + grown])
    monkeypatch.setattr(serving, "resident_megabytes", lambda: next(memory))
    monkeypatch.setattr(serving, "call_together", lambda *_: ({}, errors))
    assert benchmark.main(["serving", "--export", str(export)]) == code
    assert f"+{grown} MB at the end" in capsys.readouterr().out


@pytest.fixture
def recipe_that_takes(monkeypatch):
    """A function that has a recipe take so many seconds, in so many runs."""

    def install(seconds, cpu_seconds, runs=1, dataset="mnist"):
        def run(command, **options):
            home = Path(command[command.index("--output-dir") + 1])
            for number in range(runs):
                sample = "-sample" * (dataset == "digits")
                name = f"mnist_cnn{sample}"
                folder = home / "runs" / name / str(number)
                folder.mkdir(parents=True)
                found = record(0.9, dataset=dataset)
                found["settings"]["batch_size"] = 1_000
                (folder / "metrics.json").write_text(json.dumps(found))
                rows = ["epoch,seconds,cpu_seconds", "1,99,99"]
                rows += [f"2,{seconds},{cpu_seconds}"] * 3
                (folder / "history.csv").write_text("\n".join(rows))

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(scaling, "loopback_bytes", iter((0, 440)).__next__)

    return install


@pytest.mark.parametrize(
    ("launcher", "runs", "images", "cpu"),
    [
        ((), 1, 5_500, 20 / 55_000),
        (("launcher",), 1, 5_500, 40 / 55_000),  # of both workers
        (("launcher",), 2, 11_000, 20 / 55_000),  # of two strangers
    ],
)
def test_throughput_is_that_of_all_processes_after_the_first_epoch(
    launcher, runs, images, cpu, recipe_that_takes
):
    recipe_that_takes(10, 20, runs)
    found = scaling.throughput(launcher, "mnist_cnn")
    assert found == pytest.approx((images, cpu, 1_234, 440 / (220 * runs)))


def test_throughput_is_of_real_data_only(recipe_that_takes):
    recipe_that_takes(10, 20, dataset="digits")
    with pytest.raises(SystemExit, match="set TFDS_DATA_DIR"):
        scaling.throughput((), "mnist_cnn")


def test_scaling_says_what_talking_costs(monkeypatch, capsys):
    def throughput(launcher, recipe, *flags):
        strategy = flags[flags.index("--strategy") + 1]
        images = {"none": 20_000, "mirrored": 16_000, "multi_worker": 10_000}
        return images[strategy] * (2 if "512" in flags else 1), 1e-4, 1_000, 5.0

    monkeypatch.setattr(scaling, "throughput", throughput)
    assert benchmark.main(["scaling", "--rounds", "2"]) == 0
    said = capsys.readouterr().out
    assert "two workers       10,000 images/s  0.50  " in said
    assert (
        "25.6 ms to compute, as strangers do, and 76.8 ms to talk and to wait"
        in said
    )
    assert "each sends 4,000 bytes of gradients" in said


def test_precision_is_compared_by_epochs_but_for_the_first(monkeypatch, capsys):
    commands = []

    def measure(recipe, *flags):
        commands.append((recipe, *flags))
        later = 4.0 if flags[-1] == "float32" else 2.0 + len(commands) / 2
        seconds = (100.0, later, later)
        return {
            "epochs": [{"seconds": x, "val_accuracy": 0.5} for x in seconds]
        }

    monkeypatch.setattr(precision, "measure", measure)
    asked = ["precision", "--recipe", "mnist_lenet5", "--", "--batch-size", "8"]
    assert benchmark.main(asked) == 0
    said = capsys.readouterr().out
    assert "round 1, mixed_bfloat16: 3.0 s an epoch, 50.00 % in" in said
    assert "takes 1.00 of the time (0.75 to 1.25) that it takes in" in said
    command = ("mnist_lenet5", "--batch-size", "8", "--epochs", "3")
    turns = ("float32", "mixed_bfloat16") * 3
    assert commands == [(*command, "--precision", turn) for turn in turns]


def test_training_is_measured_on_real_data_only(recipe_that_takes):
    recipe_that_takes(10, 20, dataset="digits")
    with pytest.raises(SystemExit, match="set TFDS_DATA_DIR"):
        recipe_runs.measure("mnist_cnn")


@pytest.mark.parametrize(
    "arguments",
    [
        ["scaling", "--epochs", "1"],
        ["precision", "--epochs", "1"],
        ["growth", "--largest", "1"],
    ],
)
def test_what_has_no_difference_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(arguments)
    assert end.value.code == 2
    assert "must be 2 or more" in capsys.readouterr().err


@pytest.mark.parametrize(("bytes_an_image", "code"), [(1_600, 0), (3_200, 1)])
def test_growth_is_measured_from_step_to_step(
    bytes_an_image, code, monkeypatch, capsys
):
    def train_on_more(recipe, factor):
        images = 1_000 * factor
        return images, 3 + images / 1e4, 1e9 + bytes_an_image * images, 784

    monkeypatch.setattr(growth, "train_on_more", train_on_more)
    monkeypatch.setattr(
        concurrent.futures,
        "ProcessPoolExecutor",
        lambda *_, **__: concurrent.futures.ThreadPoolExecutor(1),
    )
    assert benchmark.main(["growth", "--largest", "5"]) == code
    said = capsys.readouterr().out
    assert "  5 x 1,000 images: an epoch of 3.5 s" in said
    assert "costs 100.0, 100.0 us from step to step" in said
    assert f"and {bytes_an_image:,} bytes of memory" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "--rounds must be 1 or more. Received: 0"),
        (["--only", "mnist_mlp"], "invalid choice: 'mnist_mlp'"),
    ],
)
def test_peers_refuses_what_it_does_not_know(arguments, said, capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(["peers", *arguments])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_peers_says_how_to_install_pytorch(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit) as end:
        benchmark.main(["peers"])
    assert "pip install --editable '.[peers]'" in end.value.code


def test_peers_compares_medians_and_the_medians_of_ratios(monkeypatch, capsys):
    def takes(walls, way=""):
        walls = iter(walls)

        def measure(name, seed):
            wall = next(walls)
            return clocks.Measured(wall, 2 * wall, 0.99, way)

        return measure

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    # The second round met another program, that disturbed both sides.
    ours = takes([6.0, 60.0, 9.0, 2e-5, 3e-5, 3e-5])
    monkeypatch.setattr(peers, "measure_ours", ours)
    peer = takes([10.0, 120.0, 10.0, 1e-4, 1.5e-3, 1e-4], way="traced")
    monkeypatch.setattr(peers, "measure_peer", peer)
    arguments = ["--only", "mnist_cnn", "one_image"]
    assert benchmark.main(["peers", *arguments]) == 0
    *progress, titles, trained, asked = capsys.readouterr().out.splitlines()
    assert progress[3] == (
        "one_image, round 1 of 3: ours 20 us (40 us CPU), score 0.9900; "
        "PyTorch 100 us (200 us CPU) traced, score 0.9900"
    )
    assert len(progress) == 6
    assert titles.split()[:3] == ["median", "of", "3"]
    assert (
        trained.split()
        == (
            "mnist_cnn 9.00 s 10.00 s 0.60 18.00 s 20.00 s 0.60 0.9900 0.9900"
        ).split()
    )
    assert (
        asked.split()
        == (
            "one_image 30 us 100 us 0.20 60 us 200 us 0.20 0.9900 0.9900"
        ).split()
    )


def test_answers_are_timed_and_scored():
    images = np.arange(6, dtype="uint8").reshape(6, 1, 1, 1)
    sizes = []

    def answer(images):
        sizes.append(len(images))
        return np.eye(6)[images.ravel()]

    found = peers.time_answers(answer, 2, (images, [0, 1, 2, 3, 4, 0]))
    assert found.score == pytest.approx(5 / 6)
    assert found.wall > 0
    assert {*sizes} == {2}
    assert len(sizes) == 3 + 51  # three to warm up, then fifty or more


def test_peers_are_the_recipes_networks():
    """Where PyTorch is installed: parameters, answers and learning rates."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import keras
    from benchmarks import torch_networks

    import zoo
    from recipes.lab import training

    assert torch_networks.NETWORKS.keys() == peers.TRAININGS.keys()
    for recipe, network in torch_networks.NETWORKS.items():
        name = {"fashion_mnist_cnn": "deep_cnn"}.get(
            recipe, recipe.removeprefix("mnist_")
        )
        ours, peer = zoo.create_model(name), network.build()
        parameters = [p for p in peer.parameters() if p.requires_grad]
        assert sum(p.numel() for p in parameters) == sum(
            np.prod(weight.shape) for weight in ours.trainable_weights
        )
    model = zoo.create_model("cnn")
    images = np.random.default_rng(0).integers(256, size=(2, 28, 28, 1))
    weights = {w.path: w.numpy() for w in model.weights}
    peer = torch_networks.cnn().eval()
    torch_networks.load_weights(peer, weights)
    answers = peer(torch.from_numpy(images[..., 0])).softmax(1)
    expected = model(keras.ops.convert_to_tensor(images))
    np.testing.assert_allclose(answers.detach(), expected, atol=1e-6)
    rate = training.one_cycle(1.0, 642, warmup=0.25)
    for step in (0, 80, 160, 161, 400, 641):
        assert torch_networks.one_cycle(step, 642, 0.25) == pytest.approx(
            float(rate(step)), abs=1e-6
        )
