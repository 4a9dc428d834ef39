"""A wheel carries what is tracked and listed, whatever else is there."""

import shutil
import subprocess
import tarfile
import zipfile

import pytest
from helpers.commands import ROOT, run_python

LARGEST = 50_000_000  # bytes
READERS = (
    ".ipynb",
    ".png",
    "/COURSE.md",
    "/chart.html",
    "/RESULTS.md",
    "/RUNTIMES.md",
)  # what pages show
REPORTS = "saved_models/reports/"  # likewise
HOOKS = """
import sys
from setuptools import build_meta
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""


def files_of_the_project():
    """What Git has, or would take in; what is listed where there is no Git."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def build(kind, folder):
    """Call setuptools, as pip does; return what it built."""
    out = folder.parent / f"{folder.name}-{kind}"
    out.mkdir()
    done = run_python("-c", HOOKS, kind, out, cwd=folder)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


def content_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clean copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel") / "checkout"
    for name in files_of_the_project():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for command in (["init", "-q"], ["add", "--force", "."]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def clean(checkout):
    """The wheel that a clean checkout makes."""
    used = shutil.copytree(checkout, checkout.parent / "clean")
    return build("wheel", used)


def test_every_export_in_git_is_listed():
    listed = (ROOT / "saved_models" / "SHIPPED").read_text().split()
    tracked = {
        name.removeprefix("saved_models/").removesuffix("/SHA256SUMS")
        for name in files_of_the_project()
        if name.endswith("/SHA256SUMS")
    }
    assert listed == sorted(tracked)


@pytest.mark.thorough
def test_a_wheel_carries_packages_and_models(clean):
    assert clean.stat().st_size < LARGEST
    files = content_of(clean)
    for name in files_of_the_project():
        if name.startswith(("zoo/", "recipes/", "saved_models/")):
            is_for_readers = name.endswith(READERS) or name.startswith(REPORTS)
            assert (name in files) == (not is_for_readers), name


@pytest.mark.thorough
def test_a_used_checkout_makes_the_wheel_of_a_clean_one(checkout, clean):
    used = shutil.copytree(checkout, checkout.parent / "used")
    models = used / "saved_models"
    for mine in ("mnist_cnn/2", "mine/1", "mnist_cnn-sample/1", "a/.tmp-7"):
        shutil.copytree(models / "mnist_cnn" / "1", models / mine)
    for mine in (
        *("recipes/my_recipe.py", "recipes/_my_losses.py", "zoo/my_network.py"),
        *(
            "recipes/mine/__init__.py",
            "my_script.py",
            "runs/mine/1/config.json",
        ),
        *("saved_models/mnist_cnn/1/.DS_Store", "saved_models/notes.txt"),
        # What an earlier build has left.
        *("build/lib/recipes/my_recipe.py", "build/lib/zoo/gone.py"),
        "build/lib/saved_models/mine/1/model.keras",
    ):
        (used / mine).parent.mkdir(parents=True, exist_ok=True)
        (used / mine).write_text("")
    # Setuptools reads what it wrote down then.
    info = used / "keras_zoo_recipes.egg-info"
    info.mkdir()
    (info / "SOURCES.txt").write_text(
        "recipes/my_recipe.py\nsaved_models/mine/1/model.keras\n"
        "saved_models/notes.txt\n"
    )
    assert content_of(build("wheel", used)) == content_of(clean)


@pytest.mark.thorough
def test_the_source_archive_makes_the_same_wheel(checkout, clean):
    used = shutil.copytree(checkout, checkout.parent / "source")
    (used / "recipes" / "my_recipe.py").touch()
    with tarfile.open(build("sdist", used)) as archive:
        archive.extractall(checkout.parent / "unpacked", filter="data")
    [unpacked] = (checkout.parent / "unpacked").iterdir()
    assert content_of(build("wheel", unpacked)) == content_of(clean)


@pytest.mark.thorough
def test_an_installed_wheel_finds_its_models_and_recipes(clean, tmp_path):
    with zipfile.ZipFile(clean) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "here").mkdir()
    done = run_python(
        "-c",
        "import zoo; print(zoo.__file__); zoo.load_model('mnist_cnn@shipped');"
        "from recipes.__main__ import main; main([])",
        cwd=tmp_path / "here",
        env={"PYTHONPATH": str(tmp_path / "site")},
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site" / "zoo" / "__init__.py") in done.stdout
    assert "mnist_cnn" in done.stdout


FIND = """
import site, sys
from importlib.util import find_spec

# The environment of these tests has an editable install of its own.
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f)]
for name in [name for name in sys.modules if "editable" in name]:
    del sys.modules[name]
sys.path.insert(0, sys.argv[1])
site.addsitedir(sys.argv[1])
for name in ("zoo", "recipes.lab.runs.run", "recipes.my_recipe"):
    print(find_spec(name).origin)
"""


@pytest.mark.thorough
def test_an_editable_install_finds_what_is_in_the_checkout(checkout, tmp_path):
    """This is README's first command; one's own recipes run, too."""
    used = shutil.copytree(checkout, checkout.parent / "editable")
    (used / "recipes" / "my_recipe.py").touch()
    with zipfile.ZipFile(build("editable", used)) as archive:
        archive.extractall(tmp_path / "site")
    done = run_python(
        *("-P", "-c", FIND, tmp_path / "site"),
        cwd=tmp_path,
        env={"PYTHONPATH": ""},
    )
    assert done.stdout.splitlines() == [
        str(used / file)
        for file in (
            "zoo/__init__.py",
            "recipes/lab/runs/run.py",
            "recipes/my_recipe.py",
        )
    ], done.stderr
