"""`python -m zoo predict` answers to picture files as a served export does."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import ROOT, run_python
from helpers.marks import only_thorough
from helpers.pictures import image_file, picture
from helpers.tasks import sample
from PIL import Image

import zoo
from zoo import _loading, _predict
from zoo.__main__ import main

MODEL = "mnist_cnn@shipped"


@pytest.fixture(scope="module")
def digits():
    return sample().test.inputs[:100]


@pytest.fixture
def folder(tmp_path, digits):
    """Three digits, one of them in a folder, and files that are none."""
    pictures = tmp_path / "pictures"
    (pictures / "more").mkdir(parents=True)
    picture(digits[0]).save(pictures / "b.png")
    picture(digits[1]).convert("RGB").save(pictures / "a.JPG", quality=95)
    picture(digits[2]).resize((90, 70)).save(pictures / "more" / "0.webp")
    picture(digits[3]).save(pictures / ".hidden.png")
    (pictures / "notes.txt").write_text("no picture")
    return pictures


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


# --- answers --------------------------------------------------------------


def test_a_folder_becomes_a_table(folder, digits, capsys):
    assert predict(MODEL, folder, "--top", 2) == 0
    out, err = capsys.readouterr()
    heading, *lines = out.splitlines()
    files = [folder / "a.JPG", folder / "b.png", folder / "more" / "0.webp"]
    assert [line[heading.index("file") :] for line in lines] == [
        *map(str, files)
    ]
    model = zoo.load_model(MODEL, verbose=False)
    expected = model.predict(digits[:1], verbose=0)[0]
    second, first = np.argsort(expected)[-2:]
    assert lines[1].split()[:6] == [
        *(str(first), f"{100 * expected[first]:.2f}", "%"),
        *(str(second), f"{100 * expected[second]:.2f}", "%"),
    ]
    assert err == ""


def test_the_command_and_the_served_model_answer_alike(
    tmp_path, digits, capsys
):
    files = {}
    for number, digit in enumerate(digits[:40]):
        image = picture(digit)
        other = image.resize((20 + 4 * number, 150 - 3 * number))
        ink = Image.new("LA", image.size)
        ink.putalpha(image)
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        files[f"{number}.png"] = image_file(
            *[
                (image, "PNG"),
                (other, "PNG"),
                (other.convert("RGB"), "JPEG"),
                (ink, "PNG"),
                (other, "JPEG"),
            ][number % 5],
            exif=exif,
        )
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    answers = tmp_path / "answers.csv"
    assert predict(MODEL, tmp_path, "--csv", answers, "--top", 10) == 0
    assert capsys.readouterr().out == f"{answers}: 40 files, 0 failed\n"

    export = tf.saved_model.load(str(_loading.find_export(MODEL)))
    ask = export.signatures["image_bytes"]
    expected = ask(image_bytes=tf.constant([*files.values()]))
    rows = {os.path.basename(row["file"]): row for row in rows_of(answers)}
    for name, probabilities in zip(
        files, expected["probabilities"].numpy(), strict=True
    ):
        row = rows[name]
        for rank in range(1, 11):
            end = f"_{rank}" if rank > 1 else ""
            found = float(row[f"probability{end}"])
            label = int(row[f"class{end}"])
            assert found == pytest.approx(probabilities[label], abs=2e-3), name
        assert row["error"] == ""


def test_photos_are_prepared_on_request(tmp_path, digits, capsys):
    sheet = np.full((400, 300), 200, "uint8")
    large = picture(digits[0]).resize((120, 120))
    sheet[200:320, 30:150] -= (np.array(large) * 0.6).astype("uint8")
    file = tmp_path / "photo.png"
    Image.fromarray(sheet).save(file)
    Image.fromarray(sheet[:150]).save(tmp_path / "z.png")
    assert predict(MODEL, file, "--like-mnist") == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert int(line.split()[0]) == sample().test.targets[0]
    assert predict(MODEL, tmp_path, "--like-mnist") == 1
    assert "the picture is blank, or all noise" in capsys.readouterr().out
    assert predict(MODEL, tmp_path) == 0
    assert capsys.readouterr().err.startswith("2 of 2 pictures are more light")


@pytest.mark.parametrize("format", ["litert-int8", "onnx"])
def test_other_formats_are_asked(format, folder, tmp_path):
    for name, options in {"a": [], "b": ["--format", format]}.items():
        answers = tmp_path / f"{name}.csv"
        assert predict(MODEL, folder, "--csv", answers, *options) == 0
    one, other = (rows_of(tmp_path / f"{name}.csv") for name in "ab")
    assert [row["class"] for row in one] == [row["class"] for row in other]


# --- bad files ------------------------------------------------------------


def test_a_bad_file_is_a_row_and_not_the_end(folder, tmp_path, capsys):
    (folder / "0.png").write_bytes((folder / "b.png").read_bytes()[:90])
    (folder / "1.png").write_text("a text among pictures")
    (folder / "2.png").write_bytes(b"")
    (folder / "3.png").symlink_to("nowhere")
    os.mkfifo(folder / "4.png")  # to open it would take for ever
    missing, named = tmp_path / "missing.png", folder / "notes.txt"
    answers = tmp_path / "answers.csv"
    assert predict(MODEL, missing, folder, named, "--csv", answers) == 1
    assert capsys.readouterr().out == (
        f"{answers}: 10 files, 7 failed; its column `error` says why\n"
    )
    rows = rows_of(answers)
    assert [bool(row["class"]) for row in rows] == 6 * [0] + 3 * [1] + [0]
    errors = [row["error"] for row in rows if row["error"]]
    for error, words in zip(
        errors,
        [
            "No such file or directory",
            "the picture is damaged: ",
            "the file is no picture; PNG, JPEG, GIF, BMP, WEBP files can",
            "the file is empty",
            "No such file or directory",
            "it is a pipe or a device, and no file",
            "the file is no picture",
        ],
        strict=True,
    ):
        assert error.startswith(words)

    assert predict(MODEL, folder / "1.png", folder / "b.png") == 1
    _, bad, good = capsys.readouterr().out.splitlines()
    assert bad.startswith("failed ") and ".png: the file is no picture" in bad
    assert good.endswith("b.png")


def test_names_are_kept_whatever_is_in_them(tmp_path, digits):
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = [b'a,"b".png', b"line\nfeed.png", b"not utf-8 \xff.png"]
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            picture(digits[0]).save(file, "PNG")
    answers = tmp_path / "answers.csv"
    assert predict(MODEL, folder, "--csv", answers) == 0
    with open(answers, newline="", errors="surrogateescape") as file:
        rows = [*csv.DictReader(file)]
    found = [os.fsencode(os.path.basename(row["file"])) for row in rows]
    assert found == sorted(names)


def test_folders_are_searched_in_the_order_of_their_names(tmp_path):
    names = ["b/2.png", "b/10.png", "b/a/1.GIF", "a.png", "c/d/e.jpeg"]
    for name in [*names, "b/.DS_Store", ".git/x.png", "b/readme"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "c" / "round").symlink_to(tmp_path)
    found = _predict.find_pictures([str(tmp_path), "x.bin"])
    assert [os.path.relpath(path, tmp_path) for path in found][:-1] == [
        *("a.png", "b/10.png", "b/2.png", "b/a/1.GIF", "c/d/e.jpeg")
    ]


# --- what is refused ------------------------------------------------------

REFUSED = {
    "mnist_cn": (2, "Did you mean mnist_cnn"),
    "lenet5": (2, "network to train and no trained one.*mnist_lenet5:1"),
    "mnist_autoencoder": (2, "no classifier: it answers with .*pixels"),
    "roads_alvinn": (2, "no classifier: it answers with direction"),
    "diabetes_linear": (2, "takes features and no pictures"),
    "fashion_mnist_cnn --like-mnist": (2, "prepares digits.*T-shirt/top"),
    f"{MODEL} --top 11": (2, "--top must be 1 to 10"),
    f"{MODEL} --top 0": (2, "--top must be 1 to 10"),
    "mnist_elm --format litert-int8": (2, "has no model.int8.tflite.*litert"),
    f"{MODEL} --csv none/a.csv": (2, "none/a.csv cannot be written: No such"),
    f"{MODEL} --csv .": (2, "cannot be written"),
    f"{MODEL} --csv /": (2, "must name a file.*Received: '/'"),
    f"{MODEL} --csv -": (2, "must name a file.*table on standard output"),
    f"{MODEL} --csv none/": (2, "must name a file.*Received: 'none/'"),
    f"{MODEL} --csv a.PNG": (2, "a.PNG is the name of a picture, which the"),
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_is_said_before_any_work(
    command, folder, empty_folder, capsys
):
    model, *options = command.split()
    code, words = REFUSED[command]
    assert predict(model, folder, *options) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(words, err), err


def test_a_picture_is_not_written_over(folder, capsys):
    file = (folder / "b.png").rename(folder / "digit")
    before = file.read_bytes()
    assert predict(MODEL, file, "--csv", folder / "more" / ".." / "digit") == 2
    assert "is the name of a picture" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_an_engine_that_is_not_installed_is_named(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    assert predict(MODEL, folder, "--engine", "ray") == 2
    assert "pip install 'ray[data]'" in capsys.readouterr().err


def test_an_engine_that_fails_says_why_and_nothing_is_lost(
    folder, tmp_path, monkeypatch, capsys
):
    def init(**options):
        raise Exception("Traceback (most recent call last):\n\nit timed out.\n")

    for name in ("ray", "ray.data", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(init=init))
    answers = tmp_path / "answers.csv"
    command = (MODEL, folder, "--csv", answers)
    assert predict(*command, "--engine", "ray") == 1
    said = "Ray has failed: it timed out. The same command resumes from "
    assert capsys.readouterr().err.startswith(said)
    assert not answers.exists() and predict(*command) == 0


def test_a_folder_without_pictures_is_named(tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert predict(MODEL, tmp_path) == 3
    err = capsys.readouterr().err
    assert f"no pictures in {tmp_path}: no name ends with .png, .jpg" in err


# --- whole or not at all --------------------------------------------------


class Interrupted:
    """Answers to some files, and is interrupted then."""

    def __init__(self, answer, after):
        self.answer, self.left = answer, after

    def __call__(self, files):
        self.left -= len(files)
        if self.left < 0:
            raise KeyboardInterrupt
        return self.answer(files)


@pytest.fixture
def batch(tmp_path, digits):
    folder = tmp_path / "batch"
    folder.mkdir()
    for number, digit in enumerate(digits):
        picture(digit).save(folder / f"{number:03}.png")
    (folder / "007.png").write_text("no picture")
    return folder


def test_an_interrupted_command_resumes(batch, tmp_path, monkeypatch, capsys):
    whole, answers = tmp_path / "whole.csv", tmp_path / "answers.csv"
    command = (MODEL, batch, "--csv", answers)
    assert predict(MODEL, batch, "--csv", whole) == 1
    answers.write_text("an earlier answer")
    ask = _predict.Classifier.answer
    with monkeypatch.context() as patch:
        patch.setattr("zoo._predictor.AT_ONCE", 10)
        patch.setattr(
            *(_predict.Classifier, "answer"),
            lambda self, files: interrupted(files),
        )
        classifier = _predict.Classifier(
            _predict.Question(str(_loading.find_export(MODEL)))
        )
        interrupted = Interrupted(lambda files: ask(classifier, files), 40)
        assert predict(*command) == 130
    [partial] = tmp_path.glob("answers.csv.*.partial")
    said = capsys.readouterr().err
    assert said == (f"Interrupted. The same command resumes from {partial}.\n")
    assert answers.read_text() == "an earlier answer"
    rows = rows_of(partial)
    assert 7 < len(rows) <= 40

    with open(partial, "r+b") as file:  # as a machine that loses power does
        file.truncate(partial.stat().st_size - 3)
    assert predict(*command) == 1  # the bad file was answered before
    out, err = capsys.readouterr()
    assert err == f"Resuming after {len(rows) - 1} files in {partial}\n"
    assert out.startswith(f"{answers}: 100 files, 1 failed")
    assert answers.read_bytes() == whole.read_bytes()
    assert not partial.exists()


def test_another_question_or_other_files_start_anew(batch, tmp_path, capsys):
    answers = tmp_path / "answers.csv"
    question = _predict.Question(str(_loading.find_export(MODEL)))
    partial = tmp_path / f"answers.csv.{question.mark()}.partial"
    files = [*_predict.find_pictures([str(batch)])]
    some = "".join(f"{file},9,1,\n" for file in files[:20])
    partial.write_text("file,class,probability,error\n" + some)
    assert predict(MODEL, batch, "--csv", answers, "--top", 2) == 1
    assert partial.exists()
    assert "Resuming" not in capsys.readouterr().err

    (batch / "003.png").unlink()
    assert predict(MODEL, batch, "--csv", answers) == 1
    assert "Resuming after 3 files" in capsys.readouterr().err
    classes = [row["class"] for row in rows_of(answers)]
    assert classes[:3] == ["9"] * 3 and classes[3:20] != ["9"] * 17
    assert len(classes) == 99


def test_a_link_stays_one_and_what_it_leads_to_is_written(folder, tmp_path):
    (tmp_path / "link.csv").symlink_to("answers.csv")
    assert predict(MODEL, folder, "--csv", tmp_path / "link.csv") == 0
    assert os.readlink(tmp_path / "link.csv") == "answers.csv"
    assert len(rows_of(tmp_path / "answers.csv")) == 3


def test_two_commands_do_not_write_one_file(batch, tmp_path, capsys):
    from zoo._answers import Csv

    answers = tmp_path / "answers.csv"
    question = _predict.Question(str(_loading.find_export(MODEL)))
    other = Csv(answers, question.mark(), 1)
    assert predict(MODEL, batch, "--csv", answers) == 2
    assert "another process is writing it" in capsys.readouterr().err
    other.close()


# --- processes ------------------------------------------------------------


@pytest.fixture
def large(tmp_path):
    """A folder of pictures that take more than a moment."""
    noise = np.random.default_rng(0).integers(0, 256, (1_500, 1_500), "uint8")
    file = tmp_path / "noise.png"
    Image.fromarray(noise).save(file, compress_level=0)
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.png").symlink_to(file)
    return folder


def test_the_command_needs_no_keras(folder, tmp_path):
    env = {"KERAS_BACKEND": "none such"}
    done = run_python("-m", "zoo", "predict", MODEL, folder, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    "closed", only_thorough(["<&- >&- 2>&-", "2>&-"], ["<&- >&- 2>&-"])
)
def test_a_process_without_a_terminal_answers(closed, folder, tmp_path):
    answers = tmp_path / "answers.csv"
    command = [sys.executable, "-m", "zoo", "predict", MODEL, folder]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    done = subprocess.run([*shell, "--csv", answers], cwd=ROOT, timeout=60)
    assert done.returncode == 0
    assert len(rows_of(answers)) == 3


@pytest.mark.thorough
def test_what_takes_longer_is_shared_among_processes(large, tmp_path):
    answers = tmp_path / "answers.csv"
    command = ("-m", "zoo", "predict", MODEL, large, "--csv", answers)
    env = {"KERAS_BACKEND": "none such"}
    done = run_python(*command, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    rows = rows_of(answers)
    assert [row["file"] for row in rows] == sorted(map(str, large.iterdir()))
    assert len({(row["class"], row["probability"]) for row in rows}) == 1


@pytest.mark.thorough
def test_ray_writes_the_same_file(batch, tmp_path):
    pytest.importorskip("ray")
    for engine in ("processes", "ray"):
        answers = tmp_path / f"{engine}.csv"
        done = run_python(
            *("-m", "zoo", "predict", MODEL, batch, "--csv", answers),
            *("--engine", engine, "--top", 3),
        )
        assert done.returncode == 1, done.stderr  # one of them is no picture
    one, other = (tmp_path / f"{name}.csv" for name in ("processes", "ray"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.faults
@pytest.mark.parametrize(
    "kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
)
def test_nobody_is_left_behind(kind, large, tmp_path):
    answers = tmp_path / "answers.csv"
    command = [sys.executable, "-m", "zoo", "predict", MODEL, "--csv", answers]
    command = [str(part) for part in [*command, *[large] * 20]]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal has it
    )
    deadline = time.monotonic() + 60
    while len(members(process.pid)) < 3 or not rows_in(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if kind == signal.SIGINT:
        os.killpg(process.pid, kind)
    else:
        process.send_signal(kind)
    said = process.communicate(timeout=30)[1]
    code = {signal.SIGINT: 130, signal.SIGTERM: 143}.get(kind, -kind)
    assert process.returncode == code
    if kind != signal.SIGKILL:
        assert re.fullmatch(r"\w+ed. The same command resumes from .*\n", said)
    while members(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not answers.exists()
    assert rows_in(tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_starting_is_not_left_behind(kind, large, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"""
import os
from multiprocessing import util

def spawn(path, arguments, *others, real=util.spawnv_passfds):
    process = real(path, arguments, *others)
    if "--multiprocessing-fork" in map(os.fsdecode, arguments):
        os.kill(os.getpid(), {kind:d})  # before it has got its work
    return process

util.spawnv_passfds = spawn
""")
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "predict", MODEL]
        + [*[large] * 20, "--csv", tmp_path / "answers.csv"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = process.communicate(timeout=60)[1]
    assert re.fullmatch(r"\w+ed. The same command resumes from .*\n", said)
    deadline = time.monotonic() + 60
    while members(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def members(session):
    """The processes of a session that are still there."""
    done = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(session)],
        capture_output=True,
        text=True,
    )
    return [x for x in done.stdout.splitlines() if "Z" not in x]


def rows_in(folder):
    return [row for path in folder.glob("*.partial") for row in rows_of(path)]
