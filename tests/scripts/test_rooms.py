"""Which room may know of which: the walls of the house."""

import ast

import pytest
from helpers.commands import RECIPES, ROOT

LAB = ROOT / "recipes" / "lab"
# A room knows those before it; rooms on one line do not know each other.
ORDER = (
    {"errors", "metrics", "terminal"},
    {"files", "flags"},
    {"settings"},
    {"command", "results"},
    {"inputs", "report"},
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
