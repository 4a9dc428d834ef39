"""Which room may know of which, and what is in it: the walls of the house."""

import ast
import dataclasses
import importlib
import sys
import types

import pytest
from helpers.commands import RECIPES, ROOT

import zoo

LAB = ROOT / "recipes" / "lab"
FAMILIES = sorted(path.stem for path in ROOT.glob("zoo/[!_]*.py"))
SOURCES = sorted(
    path.relative_to(ROOT / "zoo").as_posix()
    for path in ROOT.glob("zoo/**/*.py")
)
# A room knows those before it; rooms on one line do not know each other.
ORDER = (
    {"errors", "metrics", "terminal", "verifier"},
    {"files", "flags"},
    {"settings"},
    {"command", "results"},
    {"report"},
    {"inputs"},
    {"data"},
    {"tasks"},
    {"training"},
    {"export"},
    {"runs"},
)


def imported(file):
    """Yield what a file imports, in full."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    """Return the room in lab that a file belongs to, or a module names."""
    return path.relative_to(LAB).with_suffix("").parts[0]


FILES = sorted(path for path in LAB.rglob("*.py") if path.parent != LAB) + [
    path for path in sorted(LAB.glob("*.py")) if path.stem != "__init__"
]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(LAB)))
def test_a_room_knows_those_before_it_only(file):
    room = room_of(file)
    [floor] = [i for i, rooms in enumerate(ORDER) if room in rooms]
    allowed = {room}.union(*ORDER[:floor])
    known = {
        name.split(".")[2]
        for name in imported(file)
        if name.startswith("recipes.lab.")
    }
    assert known <= allowed


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(LAB)))
def test_no_room_knows_a_recipe(file):
    names = {name for name in imported(file) if name.startswith("recipes")}
    assert all(name.startswith("recipes.lab") for name in names)


def test_every_room_is_in_the_order():
    assert {room_of(file) for file in FILES} == set().union(*ORDER)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_knows_no_other(recipe):
    known = [
        name
        for name in imported(ROOT / "recipes" / f"{recipe}.py")
        if name.startswith("recipes")
    ]
    assert known
    assert all(name.startswith("recipes.lab.") for name in known)


# --- the files of zoo/ and recipes/ --------------------------------------


def test_no_name_of_the_package_hides_a_file():
    families = {path.stem for path in (ROOT / "zoo").glob("[a-z]*.py")}
    for family in families:
        assert isinstance(getattr(zoo, family), types.ModuleType)
    assert not families & {*zoo.list_models()}


@pytest.mark.parametrize("family", FAMILIES)
def test_file_without_underscore_is_a_model_family(family):
    modules = [zoo.model_info(n).builder.__module__ for n in zoo.list_models()]
    assert f"zoo.{family}" in modules


def test_plumbing_registers_no_models():
    modules = {zoo.model_info(n).builder.__module__ for n in zoo.list_models()}
    assert modules == {f"zoo.{family}" for family in FAMILIES}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_without_underscore_can_be_run(name):
    from recipes.lab import command, flags
    from recipes.lab.data import sources

    recipe = importlib.import_module(f"recipes.{name}")
    assert recipe.DATASET in sources.NAMES
    assert recipe.TARGETS
    assert all(isinstance(t, command.Target) for t in recipe.TARGETS)
    assert isinstance(recipe.Config().run, flags.RunOptions)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.Config().run = None
    assert callable(recipe.train)
    with pytest.raises(SystemExit) as end:
        recipe.main(["--help"])
    assert end.value.code == 0


@pytest.mark.parametrize("source", SOURCES)
def test_zoo_imports_keras_numpy_and_the_standard_library_only(source):
    allowed = {"keras", "numpy", "zoo"} | sys.stdlib_module_names
    assert imported_packages((ROOT / "zoo" / source).read_text()) <= allowed


def test_scan_for_imports_sees_late_ones():
    source = (
        "def f():\n    import tensorflow.data\n    from recipes import _a\n"
    )
    assert imported_packages(source) == {"tensorflow", "recipes"}


def imported_packages(source):
    """Return the top-level packages that a source imports, late or early."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


# --- the files of tests/ -------------------------------------------------

TESTS = ROOT / "tests"
# Tests of more than one file, or of what no file has the name of.
OF_SEVERAL = {
    "zoo": {"every_model", "classifiers", "backends", "keras_json", "browser"},
    "lab": {"draws", "serving"},
}
# Files without tests of their own, and those that test them.
THROUGH_OTHERS = {
    "zoo": {
        "keras": "every_model",
        "runtimes": "predictor",
        "linear": "every_model",
        "answers": "predict",
        "app": "browser",
        "onnx": "operators",
        "pad": "browser",
        "pictures": "predict",
        "quiet": "predict",
        "settings": "keras_json",
        "sources": "main",
        "views": "browser",
    },
    "lab": {
        "classified": "report",
        "encoded": "report",
        "errors": "command",
        "evidence": "explaining",
        "examples": "card",
        "images": "signatures",
        "quantities": "report",
        "results": "summary",
        "schedules": "fitting",
        "seen": "report",
        "settings": "record",
        "task": "card",
    },
}


@pytest.mark.parametrize(
    ("room", "folder"),
    [("zoo", ROOT / "zoo"), ("lab", LAB)],
    ids=["zoo", "lab"],
)
def test_tests_of_a_file_are_found_by_its_name(room, folder):
    sources = [*folder.rglob("*.py"), *folder.rglob("*.js")]
    files = {path.stem.strip("_") for path in sources} - {"init"}
    tests = {
        path.stem.removeprefix("test_")
        for path in (TESTS / room).glob("test_*.py")
    }
    assert tests - OF_SEVERAL[room] <= files
    assert files - tests == THROUGH_OTHERS[room].keys()
    assert {*THROUGH_OTHERS[room].values()} <= tests


def test_each_file_of_tests_has_a_name_of_its_own():
    """They are no packages, so that Python tells them apart by that alone."""
    names = sorted(path.name for path in TESTS.rglob("test_*.py"))
    assert names == sorted({*names})
    assert [*TESTS.rglob("__init__.py")] == [TESTS / "helpers" / "__init__.py"]


@pytest.mark.parametrize("package", ["zoo", "recipes"])
def test_no_room_of_tests_hides_a_package(package):
    found = importlib.import_module(package).__file__
    assert found == str(ROOT / package / "__init__.py")


def test_tests_share_what_is_in_helpers_and_nothing_else():
    scripts = {path.stem for path in ROOT.glob("scripts/*.py")}
    for file in TESTS.rglob("*.py"):
        known = {name.partition(".")[0] for name in imported(file)}
        assert "conftest" not in known, file
        assert not [name for name in known if name.startswith("test_")], file
        if file.parent.name == "helpers":
            assert not known & scripts, file
