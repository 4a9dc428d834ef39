"""load_model finds the right export, and loads nothing that was tampered with.

Most exports here are made by hand: a tiny model whose name says where it lies,
its labels, and the sums of both.
"""

import hashlib
import shutil
import subprocess

import keras
import numpy as np
import pytest
from helpers.commands import ROOT

import zoo
from zoo import _loading


def write_export(folder, model=None):
    """Write an export of a model, named after its folder unless it is given."""
    if model is None:
        model = tiny_model(keras.layers.Dense(1), "-".join(folder.parts[-3:]))
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "assets").mkdir()
    (folder / "assets" / "labels.txt").write_text("no\nyes\n")
    write_sums(folder)
    return folder


def tiny_model(layer, name=None):
    inputs = keras.Input((2,))
    return keras.Model(inputs, layer(inputs), name=name)


def write_sums(folder):
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "SHA256SUMS":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{digest}  {path.relative_to(folder)}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))


def loaded_name(name):
    return zoo.load_model(name, verbose=False).name


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in; nothing ships with the package."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(_loading, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "here"


@pytest.fixture
def shipped(tmp_path, here):
    """The folder of the models that ship with the package."""
    return tmp_path / "shipped"


def ship(shipped, *names):
    """Write exports to where those lie that ship, and list them."""
    for name in names:
        write_export(shipped / name)
    (shipped / "SHIPPED").write_text("\n".join(names))


@pytest.fixture
def no_deserialisation(monkeypatch):
    """Fail as soon as Keras is asked to load anything."""

    def load_model(*arguments, **options):
        pytest.fail("a file was deserialised")

    monkeypatch.setattr(keras.saving, "load_model", load_model)


def test_path_of_an_export_loads_it(here):
    export = write_export(here / "elsewhere" / "tiny" / "3")
    assert loaded_name(export) == "elsewhere-tiny-3"
    assert loaded_name(str(export)) == "elsewhere-tiny-3"
    assert loaded_name("elsewhere/tiny/3") == "elsewhere-tiny-3"


def test_path_of_a_family_loads_its_highest_version(here):
    for version in ("2", "10", "9"):
        write_export(here / "elsewhere" / "tiny" / version)
    assert loaded_name(here / "elsewhere" / "tiny") == "elsewhere-tiny-10"


def test_name_is_looked_up_in_the_working_folder(here):
    write_export(here / "saved_models" / "tiny" / "1")
    write_export(here / "saved_models" / "tiny" / "2")
    assert loaded_name("tiny") == "saved_models-tiny-2"
    assert loaded_name("tiny:1") == "saved_models-tiny-1"


def test_name_falls_back_on_what_ships_with_the_package(here, shipped):
    ship(shipped, "tiny/1", "tiny/2")
    assert loaded_name("tiny") == "shipped-tiny-2"
    assert loaded_name("tiny:1") == "shipped-tiny-1"


def test_working_folder_comes_before_what_ships(here, shipped):
    ship(shipped, "tiny/2")
    write_export(here / "saved_models" / "tiny" / "1")
    assert loaded_name("tiny") == "saved_models-tiny-1"
    assert loaded_name("tiny:2") == "shipped-tiny-2"


def test_shipped_names_the_one_that_ships(here, shipped):
    ship(shipped, "tiny/1", "tiny/2")
    write_export(here / "saved_models" / "tiny" / "3")
    assert loaded_name("tiny") == "saved_models-tiny-3"
    assert loaded_name("tiny@shipped") == "shipped-tiny-2"
    assert loaded_name("tiny@shipped:1") == "shipped-tiny-1"
    with pytest.raises(FileNotFoundError, match="tiny@shipped:3"):
        zoo.load_model("tiny@shipped:3")


def test_what_was_trained_beside_the_shipped_ones_does_not_ship(
    here, shipped, monkeypatch
):
    """In a checkout, `./saved_models` is the folder of what ships."""
    ship(shipped, "tiny/1")
    write_export(shipped / "tiny" / "2")
    write_export(shipped / "mine" / "1")
    assert loaded_name("tiny") == "shipped-tiny-1"
    with pytest.raises(FileNotFoundError):
        zoo.load_model("mine")
    shipped.rename(shipped.parent / "saved_models")
    monkeypatch.chdir(shipped.parent)
    monkeypatch.setattr(_loading, "SHIPPED", shipped.parent / "saved_models")
    assert loaded_name("tiny") == "shipped-tiny-2"
    assert loaded_name("tiny@shipped") == "shipped-tiny-1"


@pytest.mark.parametrize("name", ["tiny:1@shipped", "tiny@local", "tiny@"])
def test_other_ways_to_name_a_shipped_one_say_the_right_one(name, here):
    with pytest.raises(ValueError, match="tiny@shipped or tiny@shipped:1"):
        zoo.load_model(name)


def test_an_at_sign_in_a_path_is_a_part_of_it(here):
    export = write_export(here / "me@home" / "tiny" / "1")
    assert loaded_name(export) == "me@home-tiny-1"
    with pytest.raises(FileNotFoundError, match="me@home/none"):
        zoo.load_model("me@home/none")


def test_export_is_described_by_name_version_and_sum(here, shipped):
    ship(shipped, "tiny/2")
    write_export(here / "elsewhere" / "copy")
    for name, family, version in [
        ("tiny", "tiny", "2"),
        ("tiny@shipped:2", "tiny", "2"),
        (here / "elsewhere" / "copy", "copy", None),
    ]:
        model = (_loading.find_export(name) / "model.keras").read_bytes()
        assert _loading.describe_export(name) == {
            "name": family,
            "version": version,
            "sum": hashlib.sha256(model).hexdigest(),
        }


def test_list_of_what_ships_names_the_exports_that_git_has():
    listed = (ROOT / "saved_models" / "SHIPPED").read_text().splitlines()
    assert listed == sorted(listed) == _loading.shipped_exports()
    for name in listed:
        assert _loading.check_sums(ROOT / "saved_models" / name) == []
    if (ROOT / ".git").exists() and shutil.which("git"):
        tracked = subprocess.run(
            ["git", "ls-files", "saved_models/*/*/SHA256SUMS"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        folders = [path.split("/")[1:3] for path in tracked.stdout.split()]
        assert listed == sorted("/".join(folder) for folder in folders)


def test_folder_of_the_same_name_does_not_hide_a_model(here):
    (here / "tiny" / "notes").mkdir(parents=True)
    write_export(here / "saved_models" / "tiny" / "1")
    assert loaded_name("tiny") == "saved_models-tiny-1"


def test_unfinished_exports_are_never_found(here):
    family = here / "saved_models" / "tiny"
    write_export(family / "1")
    write_export(family / ".tmp-77")
    assert loaded_name("tiny") == "saved_models-tiny-1"
    with pytest.raises(FileNotFoundError):
        zoo.load_model("tiny:.tmp-77")


def test_sample_exports_are_never_found_by_the_plain_name(here):
    write_export(here / "saved_models" / "tiny-sample" / "1")
    with pytest.raises(FileNotFoundError, match="tiny-sample:1"):
        zoo.load_model("tiny")
    assert loaded_name("tiny-sample") == "saved_models-tiny-sample-1"


@pytest.mark.parametrize("name", ["big", "tiny:7", "no/such/path"])
def test_missing_export_says_what_there_is(name, here, shipped):
    write_export(here / "saved_models" / "tiny" / "1")
    ship(shipped, "other/4")
    with pytest.raises(FileNotFoundError) as refusal:
        zoo.load_model(name)
    message = str(refusal.value)
    assert repr(name) in message
    assert str(here / "saved_models") in message
    assert ("Did you mean tiny:1?" in message) == (name == "tiny:7")
    assert ("There is: tiny:1, other:4." in message) == (name != "tiny:7")
    assert "python -m recipes" in message


def test_missing_export_says_that_there_is_none(here):
    with pytest.raises(FileNotFoundError, match="none yet"):
        zoo.load_model("tiny")


def test_loading_says_which_export_it_takes(here, capsys):
    export = write_export(here / "saved_models" / "tiny" / "1")
    zoo.load_model("tiny")
    captured = capsys.readouterr()
    assert str(export.relative_to(here)) in captured.err
    assert captured.out == ""
    zoo.load_model("tiny", verbose=False)
    assert capsys.readouterr() == ("", "")


def test_loading_says_that_a_local_export_hides_a_shipped_one(
    here, shipped, capsys
):
    ship(shipped, "tiny/1")
    write_export(here / "saved_models" / "tiny" / "1")
    zoo.load_model("tiny")
    assert "(tiny@shipped is the one that ships" in capsys.readouterr().err
    zoo.load_model("tiny@shipped")
    assert capsys.readouterr().err == f"Loading {shipped / 'tiny' / '1'}\n"


def change(export):
    (export / "model.keras").write_bytes(b"garbage")


def change_one_bit(export):
    data = bytearray((export / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (export / "model.keras").write_bytes(data)


def truncate(export):
    data = (export / "model.keras").read_bytes()
    (export / "model.keras").write_bytes(data[:-1])


def change_another_file(export):
    (export / "assets" / "labels.txt").write_text("yes\nno\n")


def remove(export):
    (export / "model.keras").unlink()


def remove_another_file(export):
    shutil.rmtree(export / "assets")


def add(export):
    (export / "assets" / "extra.txt").write_text("")


def add_a_program(export):
    (export / "saved_model.pbtxt").write_text("")


def add_variables(export):
    (export / "variables").mkdir()
    (export / "variables" / "variables.index").write_text("")


def remove_sums(export):
    (export / "SHA256SUMS").unlink()


def garble_sums(export):
    (export / "SHA256SUMS").write_bytes(b"\xff\xfe not a list of sums")


def empty_sums(export):
    (export / "SHA256SUMS").write_text("")


def leave_out_the_model(export):
    (export / "model.keras").unlink()
    write_sums(export)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (change, "model.keras was changed"),
        (change_one_bit, "model.keras was changed"),
        (truncate, "model.keras was changed"),
        (change_another_file, "assets/labels.txt was changed"),
        (remove, "model.keras is missing"),
        (remove_another_file, "assets/labels.txt is missing"),
        (add, "assets/extra.txt was added"),
        (add_a_program, "saved_model.pbtxt was added"),
        (add_variables, "variables/variables.index was added"),
        (remove_sums, "neither a SHA256SUMS nor numbered versions"),
        (garble_sums, "no readable SHA256SUMS"),
        (empty_sums, "was added"),
        (leave_out_the_model, "holds no model.keras"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_damage_is_found_before_anything_is_deserialised(
    damage, complaint, here, no_deserialisation
):
    export = write_export(here / "saved_models" / "tiny" / "1")
    damage(export)
    with pytest.raises(ValueError, match=complaint) as refusal:
        zoo.load_model(export)
    assert str(export) in str(refusal.value)


@pytest.mark.parametrize(
    "litter",
    [
        *(".DS_Store", "assets/._labels.txt", "Thumbs.db", "desktop.ini"),
        *("README.md~", "assets/labels.txt~", ".README.md.swp", "#notes#"),
        *(".nfs000000000123", ".gitattributes", ".cache/huggingface/a.lock"),
        *("LICENSE", "config.json", ".ipynb_checkpoints/saved_model.pb"),
    ],
)
def test_what_nobody_reads_is_named_and_passed_over(litter, here, capsys):
    export = write_export(here / "saved_models" / "tiny" / "1")
    (export / litter).parent.mkdir(parents=True, exist_ok=True)
    (export / litter).write_text("")
    zoo.load_model("tiny")
    message = f"Passing over {litter}, which was added\n"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_readme_may_be_edited(damage, here, capsys):
    export = write_export(here / "saved_models" / "tiny" / "1")
    (export / "README.md").write_text("# tiny\n")
    write_sums(export)
    if damage == "changed":
        (export / "README.md").write_text("# my tiny\n")
    else:
        (export / "README.md").unlink()
    zoo.load_model("tiny")
    assert "Passing over README.md, which " in capsys.readouterr().err


def test_few_of_many_files_are_named(here, capsys):
    export = write_export(here / "saved_models" / "tiny" / "1")
    for number in range(9):
        (export / f"notes{number}").write_text("")
    zoo.load_model("tiny")
    assert capsys.readouterr().err.endswith("added; and 4 more\n")


def test_zero_padded_versions_are_found(here):
    family = here / "saved_models" / "tiny"
    for version in ("0001", "0010", "2"):
        write_export(family / version)
    assert loaded_name("tiny") == loaded_name(family)
    assert loaded_name("tiny") == "saved_models-tiny-0010"
    for name in ("tiny:1", "tiny:0001", "tiny:01"):
        assert loaded_name(name) == "saved_models-tiny-0001"
    assert loaded_name("tiny:02") == "saved_models-tiny-2"
    assert _loading.describe_export("tiny:1")["version"] == "0001"
    with pytest.raises(FileNotFoundError):
        zoo.load_model("tiny:100")
    write_export(family / "1")
    assert loaded_name("tiny:1") == "saved_models-tiny-1"
    assert loaded_name("tiny:0001") == "saved_models-tiny-0001"


def test_path_of_a_file_in_an_export_loads_the_export(here):
    export = write_export(here / "elsewhere" / "tiny" / "1")
    (export / "saved_model.pb").write_text("")
    write_sums(export)
    for file in ("model.keras", "saved_model.pb"):
        assert loaded_name(export / file) == "elsewhere-tiny-1"
        assert loaded_name(f"elsewhere/tiny/1/{file}") == "elsewhere-tiny-1"


def test_path_of_a_file_in_no_export_says_how_to_load_it(here):
    (here / "my.keras").write_text("")
    with pytest.raises(ValueError, match="keras.saving.load_model"):
        zoo.load_model("my.keras")


@pytest.mark.parametrize(
    "name", ["tiny", "tiny:1", "tiny@shipped", "tiny@shipped:1"]
)
def test_a_trained_models_name_is_no_builders(name, here, shipped):
    ship(shipped, "tiny/1")
    with pytest.raises(ValueError, match="trained model") as refusal:
        zoo.create_model(name)
    assert f"zoo.load_model({name!r})" in str(refusal.value)


def test_a_builders_name_is_no_trained_models(here, shipped):
    ship(shipped, "mnist_lenet5/1")
    with pytest.raises(FileNotFoundError, match="network to train") as refusal:
        zoo.load_model("lenet5")
    assert "zoo.create_model('lenet5')" in str(refusal.value)
    assert "mnist_lenet5:1" in str(refusal.value)


def test_damage_is_found_by_name_and_by_family_too(here, no_deserialisation):
    export = write_export(here / "saved_models" / "tiny" / "1")
    change(export)
    for name in ("tiny", "tiny:1", export.parent):
        with pytest.raises(ValueError, match="model.keras was changed"):
            zoo.load_model(name)


def test_folder_that_is_no_export_is_refused(here):
    (here / "pictures").mkdir()
    with pytest.raises(ValueError, match="pictures is not an export"):
        zoo.load_model(here / "pictures")


def test_code_inside_a_model_is_refused_although_its_sums_are_right(here):
    model = tiny_model(keras.layers.Lambda(lambda x: 2 * x))
    export = write_export(here / "saved_models" / "tiny" / "1", model)
    _loading.check_sums(export)
    with pytest.raises(ValueError, match="(?i)lambda"):
        zoo.load_model(export)


def test_real_export_loads_by_path_uncompiled(export, images):
    model = zoo.load_model(export)
    assert not model.compiled
    assert model.input_shape == (None, 28, 28, 1)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (8, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_dry_run_is_never_found_by_the_name_of_its_recipe(
    export, here, monkeypatch
):
    output = export.parent.parent.parent
    monkeypatch.chdir(output)
    with pytest.raises(FileNotFoundError, match="mean mnist_cnn-sample:1"):
        zoo.load_model("mnist_cnn")
