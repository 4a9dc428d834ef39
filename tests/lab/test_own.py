"""Data that a user brings take the place of a recipe's own, or are refused."""

import importlib
import json
import shutil

import numpy as np
import pytest
from helpers.commands import ROOT, answer, run_recipe
from helpers.folders import CLASSES, write_folder
from helpers.marks import only_thorough
from PIL import Image

import zoo
from recipes.lab.data import decoding, own, sources, tfds
from recipes.lab.errors import DataError, UsageError
from recipes.lab.flags import RunOptions

SIDE = 20


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of five classes, eight small pictures each."""
    return write_folder(tmp_path_factory.mktemp("own") / "shapes", 8, SIDE)


@pytest.fixture
def shapes(written, tmp_path, monkeypatch):
    """A copy of it, to be damaged, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shutil.copytree(written, tmp_path / "shapes")


def load(path, **options):
    return own.load(str(path), RunOptions(offline=True, **options))


def same(one, other):
    for part in decoding.PARTS:
        left, right = getattr(one, part), getattr(other, part)
        np.testing.assert_array_equal(left.inputs, right.inputs)
        np.testing.assert_array_equal(left.targets, right.targets)
    return one.checksum == other.checksum


# --- a folder -----------------------------------------------------------


def test_sizes_channels_and_classes_follow_from_a_folder(shapes):
    data = load(shapes)
    assert data.name == "shapes" and data.is_own and not data.is_sample
    assert data.class_names == CLASSES
    assert data.inputs.shape == (SIDE, SIDE, 3)
    assert [len(data.train), len(data.validation), len(data.test)] == [30, 5, 5]
    for split in (data.train, data.validation, data.test):
        assert {*split.targets.tolist()} == {*range(5)}
    for name in ("bar/003.png", "disc/007.png"):
        pixels = np.array(Image.open(shapes / name))
        splits = (data.train, data.validation, data.test)
        [label] = [
            label
            for split in splits
            for image, label in zip(split.inputs, split.targets, strict=True)
            if np.array_equal(image, pixels)
        ]
        assert name.startswith(f"{CLASSES[label]}/")


def test_few_pictures_are_shown_several_times_in_an_epoch(shapes):
    assert load(shapes).train.passes == own.SHOWN // 30
    # A dry run is quick, and fills a batch of any recipe.
    train = load(shapes, dry_run=True).train
    assert 512 <= train.passes * len(train) < 512 + 30


def test_the_split_is_the_same_for_every_run_and_in_every_folder(
    shapes, tmp_path
):
    first = load(shapes)
    shutil.copytree(shapes, tmp_path / "moved" / "others")
    second = load(tmp_path / "moved" / "others")
    assert same(first, second) and second.name == "others"


def test_the_second_time_no_picture_is_decoded(shapes, monkeypatch, capsys):
    first = load(shapes)
    assert "decoding 40 pictures to 20x20 RGB" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "write", None)
        assert same(first, load(shapes))
    # What has changed is decoded anew, and takes the place of the old.
    Image.new("RGB", (SIDE, SIDE), "red").save(shapes / "bar" / "new.png")
    assert load(shapes).checksum != first.checksum
    assert len([*(shapes.parent / "cache").rglob("*.pixels")]) == 1
    load(shapes, resize=8)
    assert len([*(shapes.parent / "cache").rglob("*.pixels")]) == 2


def test_a_cache_that_is_damaged_is_written_anew(shapes):
    first = load(shapes)
    [kept] = (shapes.parent / "cache").rglob("*.pixels")
    content = kept.read_bytes()
    kept.unlink()  # it is mapped
    kept.write_bytes(content[:5_000])
    assert same(first, load(shapes))


@pytest.mark.parametrize("why", ["no home", "a file in its place"])
def test_without_a_cache_it_is_decoded_each_time(
    why, shapes, monkeypatch, capsys
):
    first = load(shapes)
    if why == "no home":
        monkeypatch.setattr(sources, "cache_folder", lambda: None)
    else:
        (shapes.parent / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(shapes.parent / "file"))
    assert same(first, load(shapes))
    assert "not cached: " in capsys.readouterr().err


def test_without_room_for_the_pixels_nothing_is_trained(
    shapes, empty_folder, monkeypatch, capsys
):
    def write(file, *arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoding, "write", write)
    code, said = answer(capsys, "--dataset", shapes)
    assert code == 1
    assert f"can be written neither to {shapes.parent / 'cache'}" in said
    assert ": No space left on device. XDG_CACHE_HOME and TMPDIR may" in said


def test_pictures_may_be_resized(shapes):
    assert load(shapes, resize=9).inputs.shape == (9, 9, 3)


def test_a_part_that_misses_is_cut_from_the_training_pictures(shapes, tmp_path):
    home = tmp_path / "split"
    shutil.copytree(shapes, home / "train")
    shutil.copytree(shapes, home / "val")
    data = load(home)
    assert [len(data.train), len(data.validation), len(data.test)] == [
        35,
        40,
        5,
    ]
    assert "15 % of each class drawn for test (seed 0)" in data.source
    shutil.copytree(shapes, home / "test")
    assert "split as it was" in load(home).source


def test_pictures_that_are_in_two_parts_are_told(shapes, tmp_path, capsys):
    home = tmp_path / "split"
    for part in ("train", "val", "test"):
        shutil.copytree(shapes, home / part)
    load(home)
    assert "40 of the 40 test pictures are in the" in capsys.readouterr().err


def test_files_that_are_no_pictures_are_told(shapes, capsys):
    (shapes / "bar" / "notes.txt").touch()
    (shapes / "triangle" / "later").mkdir(parents=True)
    (shapes / ".DS_Store").touch()
    assert len(load(shapes).train) == 30
    said = capsys.readouterr().err
    assert said.endswith("in a class folder: bar/notes.txt, triangle/\n")


def test_pictures_on_another_scale_are_told(shapes, tmp_path, capsys):
    for path in shapes.rglob("*.png"):
        Image.fromarray(np.array(Image.open(path)) // 16).save(path)
    load(shapes)
    said = capsys.readouterr().err
    assert said.startswith("no pixel of shapes is brighter than 1")
    images = np.arange(60 * 4, dtype=float).reshape(60, 2, 2) % 17
    np.savez(tmp_path / "dark.npz", x=images, y=np.arange(60) % 3)
    assert load(tmp_path / "dark.npz").train.inputs.max() == 16
    assert "no pixel of dark is brighter than 16" in capsys.readouterr().err


# --- how it is cut ------------------------------------------------------


@pytest.mark.parametrize("counts", [[3, 3], [100, 7, 40], [4] * 500])
def test_each_class_is_in_each_part_by_its_share(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [str(i) for i in range(len(counts))]
    parts, words = own.divide(labels, None, names, "mine")
    assert "15 % of each class" in words
    for label, count in enumerate(counts):
        of_class = np.bincount(parts[labels == label], minlength=3)
        aside = max(1, round(0.15 * count))
        assert of_class.tolist() == [count - 2 * aside, aside, aside]


def test_of_many_pictures_no_more_are_put_aside_than_it_takes():
    labels = np.arange(1_000_000) % 10
    parts, words = own.divide(labels, None, [*"0123456789"], "mine")
    assert np.bincount(parts).tolist() == [980_000, 10_000, 10_000]
    assert words.startswith("1 % of each class")


def test_too_small_classes_are_named_and_not_all_of_them():
    names = [f"class {i}" for i in range(40_000)]
    with pytest.raises(DataError, match="class 2 has 1 and 39,997 more"):
        own.divide(np.arange(40_000), None, names, "mine")
    labels = np.array([0, 0, 0, 1])
    with pytest.raises(
        DataError, match="mine needs 3 pictures or more.* Too few: one has 1"
    ):
        own.divide(labels, None, ["none", "one"], "mine")


def test_many_classes_are_allowed_and_told(tmp_path, capsys):
    labels = np.repeat(np.arange(1_200), 3)
    images = np.zeros((len(labels), 4, 4), "uint8")
    np.savez(tmp_path / "many.npz", x=images, y=labels)
    assert load(tmp_path / "many.npz").num_classes == 1_200
    assert "many has 1,200 classes. Is each" in capsys.readouterr().err


# --- arrays -------------------------------------------------------------


def test_an_npz_is_cut_as_a_folder_is_and_known_by_its_content(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 12), "uint8")
    labels = np.repeat(np.arange(3), 20)
    for name in ("one", "other"):
        np.savez(tmp_path / f"{name}.npz", x=images, y=labels)
    data = load(tmp_path / "one.npz")
    assert data.name == "one" and data.inputs.shape == (12, 12, 1)
    assert np.bincount(data.test.targets).tolist() == [3, 3, 3]
    assert {*data.train.targets[:10].tolist()} == {0, 1, 2}
    assert same(data, load(tmp_path / "other.npz"))
    small = load(tmp_path / "one.npz", resize=6)
    assert small.inputs.shape == (6, 6, 1) and small.checksum != data.checksum


# --- names --------------------------------------------------------------


@pytest.fixture
def flowers(tmp_path):
    """A data set as TFDS prepares it, of pictures of several sizes."""
    import tensorflow as tf
    import tensorflow_datasets as tensorflow_datasets

    random = np.random.default_rng(0)

    def examples():
        for number in range(30):
            side = 10 + number % 3
            image = random.integers(0, 256, (side, side, 3), "uint8")
            yield {"image": image, "label": number % 3}

    features = tensorflow_datasets.features.FeaturesDict(
        {
            "image": tensorflow_datasets.features.Image(shape=(None, None, 3)),
            "label": tensorflow_datasets.features.ClassLabel(names=[*"xyz"]),
        }
    )
    tensorflow_datasets.disable_progress_bar()
    whole = tf.data.Dataset.from_generator(
        examples,
        output_signature={
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "label": tf.TensorSpec((), tf.int64),
        },
    )
    tensorflow_datasets.dataset_builders.store_as_tfds_dataset(
        name="flowers",
        version="1.2.0",
        features=features,
        split_datasets={"train": whole},
        data_dir=tmp_path,
    )
    return tmp_path


def test_any_prepared_data_set_will_do(flowers, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(flowers / "cache"))
    data = load("flowers", data_dir=flowers)
    assert data.name == "flowers" and data.class_names == ("x", "y", "z")
    assert data.inputs.shape == (11, 11, 3)
    assert [len(data.train), len(data.validation), len(data.test)] == [18, 6, 6]
    assert data.source.startswith("TFDS flowers/1.2.0, 15 % of each class")
    monkeypatch.setattr(decoding, "write", None)  # it is in the cache
    assert same(data, load("flowers:1.2.0", data_dir=flowers))


def test_a_data_set_that_is_not_here_is_refused_without_a_network(nothing):
    with pytest.raises(DataError, match="cannot be downloaded: --offline") as e:
        load("cifar10")
    assert "python scripts/prepare_data.py cifar10" in str(e.value)


def test_of_several_configurations_one_must_be_named(tmp_path):
    for config in ("letters", "digits"):
        version = tmp_path / "emnist" / config / "3.1.0"
        version.mkdir(parents=True)
        (version / "dataset_info.json").touch()
    assert tfds.find_any("emnist/letters", tmp_path).parent.name == "letters"
    assert tfds.find_any("emnist/letters:1.0.0", tmp_path) is None
    with pytest.raises(DataError, match="emnist/digits, emnist/letters"):
        tfds.find_any("emnist", tmp_path)


def test_a_name_that_nobody_knows_is_met_with_a_suggestion(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flower_pictures").mkdir()
    for name, close in (
        ("cifar_10", "cifar10"),
        ("flower_picture", "flower_pictures"),
    ):
        with pytest.raises(UsageError, match=f"Did you mean .*{close}"):
            load(name)
    with pytest.raises(UsageError, match="neither a folder or file here nor"):
        load("qqqqq")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("My holidays (2025)", "My_holidays_2025"),
        ("sample", "sample_"),
        ("mnist", "mnist_"),
        ("mnist.npz", "mnist_"),
        ("пример", "data"),
        ("mine.npz", "mine"),
        ("MINE.NPZ", "MINE"),
    ],
)
def test_runs_are_called_after_the_data(path, name, tmp_path):
    assert own._name_of(tmp_path / path) == name


# --- through the command line -------------------------------------------


def too_small(folder):
    shutil.rmtree(folder / "bar")
    (folder / "bar").mkdir()
    shutil.copy(folder / "disc" / "001.png", folder / "bar")


def damaged(folder):
    (folder / "ring" / "002.png").write_bytes(b"no picture")
    path = folder / "disc" / "001.png"
    path.write_bytes(path.read_bytes()[:60])


def one_class(folder):
    for name in CLASSES[1:]:
        shutil.rmtree(folder / name)


BAD_FOLDERS = {
    "one class": (one_class, "has one class folder with pictures, bar, and"),
    "no classes": (lambda f: shutil.rmtree(f) or f.mkdir(), "has no pictures"),
    "a class with one picture": (too_small, "Too few: bar has 1."),
    "damaged pictures": (
        damaged,
        "2 of 40 pictures cannot be read: {}/disc/001.png (Invalid PNG",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_folder_that_will_not_do_is_refused_before_training(
    case, shapes, empty_folder, capsys
):
    damage, reason = BAD_FOLDERS[case]
    damage(shapes)
    code, said = answer(capsys, "--dataset", shapes)
    assert code == 3
    assert reason.format(shapes) in said


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        (["--dataset", "/nowhere/at/all"], 3, "at/all does not exist; / does."),
        (["--dataset", "not/here"], 3, "not/here does not exist; /"),
        (["--dataset", __file__], 3, "must be a folder, a .npz file, or IDX"),
        (["--dataset", "iris"], 2, "iris is a table."),
        (["--dataset", "digits_8x8"], 2, "digits_8x8 has no test set"),
        (["--resize", 32], 2, "mnist is the recipe's own"),
        (["--dataset", "mnist2"], 2, "Did you mean mnist"),
        (["--dataset", "mnist", "--resize", 8], 2, "is the recipe's own"),
        (["--dataset", "fashion_mnist", "--resize", 8], 2, "has a size"),
    ],
)
def test_flags_that_ask_for_no_data_are_refused(flags, code, reason, capsys):
    found, said = answer(capsys, *flags)
    assert found == code
    assert reason in said


@pytest.mark.usefixtures("empty_folder")
def test_a_recipe_of_a_table_takes_no_images(shapes, capsys):
    flags = ["--dataset", shapes]
    code, said = answer(capsys, *flags, recipe="iris_perceptron")
    assert code == 2 and "iris is a table." in said


@pytest.mark.usefixtures("empty_folder")
@pytest.mark.parametrize(
    "recipe",
    only_thorough(["mnist_cnn", "mnist_lenet5", "mnist_elm"], ["mnist_cnn"]),
)
def test_pictures_that_are_too_small_for_a_network_are_refused(
    recipe, shapes, capsys
):
    flags = ["--dataset", shapes, "--resize", 8, "--offline"]
    if recipe != "mnist_elm":
        flags += ["--batch-size", 8]
    code, said = answer(capsys, *flags, recipe=recipe)
    assert code == 2
    assert "pixels, and those of shapes have 8x8. Add --resize 1" in said


@pytest.mark.thorough
@pytest.mark.usefixtures("no_export")
def test_a_run_is_called_after_the_data_and_resumes_wherever_they_are(
    shapes, tmp_path, monkeypatch, capsys
):
    flags = ["--batch-size", 8, "--epochs", 1, "--output-dir", tmp_path]
    monkeypatch.setattr(own, "SHOWN", 30)
    recipe = "mnist_softmax_regression"
    assert run_recipe(recipe, "--dataset", shapes, *flags) == 0
    said = capsys.readouterr().out
    assert "published" not in said
    run = tmp_path / "runs" / f"{recipe}-shapes" / "1"
    record = json.loads((run / "metrics.json").read_text())
    assert (
        record["dataset"] == "shapes" and str(tmp_path) not in record["command"]
    )
    assert record["settings"]["dataset"] == "shapes"

    # As if it had been cut off, and the folder moved.
    (run / "metrics.json").unlink()
    (tmp_path / "moved").mkdir()
    moved = shapes.rename(tmp_path / "moved" / "shapes")
    assert run_recipe(recipe, "--dataset", moved, *flags) == 0
    assert f"continuing {run}" in capsys.readouterr().out

    Image.new("RGB", (SIDE, SIDE), "red").save(moved / "bar" / "new.png")
    assert run_recipe(recipe, "--dataset", moved, *flags) == 0
    assert f"run {run.with_name('2')}" in capsys.readouterr().out


@pytest.mark.thorough
@pytest.mark.usefixtures("no_export")
def test_the_recipes_own_data_may_be_named(tmp_path):
    flags = ["--dataset", "mnist", "--dry-run", "--output-dir", tmp_path]
    assert run_recipe("mnist_softmax_regression", *flags) == 0
    run = tmp_path / "runs" / "mnist_softmax_regression-sample" / "1"
    record = json.loads((run / "metrics.json").read_text())
    assert "--dataset" not in record["command"]


# --- from a folder to an export -----------------------------------------


@pytest.mark.thorough
def test_a_copy_of_a_recipe_may_name_a_folder_of_three_classes(
    shapes, tmp_path, monkeypatch
):
    for name in CLASSES[3:]:
        shutil.rmtree(shapes / name)
    for name, other in zip(CLASSES, ("b\u00e5r", "крест", "圆"), strict=False):
        (shapes / name).rename(shapes / other)
    text = (ROOT / "recipes" / "mnist_mlp.py").read_text()
    text = text.replace('DATASET = "mnist"', f"DATASET = {str(shapes)!r}")
    (tmp_path / "my_recipe.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(own, "SHOWN", 100)
    recipe = importlib.import_module("my_recipe")
    flags = ["--batch-size", "8", "--output-dir", str(tmp_path)]
    assert recipe.main(flags) == 0
    export = tmp_path / "saved_models" / "my_recipe" / "1"
    assert (export / "assets" / "labels.txt").read_text(
        "utf-8"
    ) == "b\u00e5r\nкрест\n圆\n"


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        pytest.param(
            *("mnist_cnn", ["--epochs", 2]), marks=pytest.mark.thorough
        ),
        pytest.param(
            *("fashion_mnist_cnn", ["--epochs", 1]), marks=pytest.mark.slow
        ),
        pytest.param(*("mnist_lstm", ["--epochs", 1]), marks=pytest.mark.slow),
    ],
)
def test_from_a_folder_to_a_verified_export_in_one_command(
    recipe, flags, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(own, "SHOWN", 1_000)
    folder = write_folder(tmp_path / "shapes", 40, 64)
    command = ["--dataset", folder, "--batch-size", 20, *flags]
    assert run_recipe(recipe, *command, "--output-dir", tmp_path) == 0
    export = tmp_path / "saved_models" / f"{recipe}-shapes" / "1"
    model = zoo.load_model(export, verbose=False)
    assert model.input_shape == (None, 64, 64, 3)
    labels = (export / "assets" / "labels.txt").read_text().split()
    assert labels == [*CLASSES]
    images = np.stack(
        [np.array(Image.open(folder / name / "000.png")) for name in CLASSES]
    )
    answers = zoo.load_predictor(export)(images)
    assert {*answers["class_name"]} <= {*CLASSES}
    chosen = model.predict(images, verbose=0).argmax(axis=1)
    assert [labels[i] for i in chosen] == answers["class_name"].tolist()
    if recipe == "mnist_cnn":
        assert answers["class_name"].tolist() == [*CLASSES]
    card = (export / "README.md").read_text()
    assert f"Classes: {', '.join(CLASSES)}." in card
    assert "(64, 64, 3)" in card and "demonstration" not in card
    report = tmp_path / "runs" / f"{recipe}-shapes" / "1" / "report.html"
    assert "A demonstration" not in report.read_text()


@pytest.mark.thorough
def test_an_autoencoder_of_colors_goes_from_a_folder_to_an_export(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(own, "SHOWN", 200)
    folder = write_folder(tmp_path / "shapes", 8, 36)
    flags = ["--dataset", folder, "--batch-size", 10, "--epochs", 1]
    recipe = "mnist_autoencoder"
    assert run_recipe(recipe, *flags, "--output-dir", tmp_path) == 0
    export = tmp_path / "saved_models" / f"{recipe}-shapes" / "1"
    encode = zoo.load_predictor(export, signature="encode")
    pixels = np.array(Image.open(folder / "ring" / "000.png"))[np.newaxis]
    assert encode(pixels)["code"].shape == (1, 32)
