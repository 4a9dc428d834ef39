"""The course has every recipe once, and says what is measured."""

import copy
import types

import nbformat
import pytest
import update_course
from helpers.commands import RECIPES
from nbconvert.preprocessors import ExecutePreprocessor

ROW = {
    "metric": "test_accuracy",
    "mean": "0.99",
    "std": "0.001",
    "seeds": "5",
    "train_seconds": "0.4",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Return what writes a course of few recipes, one of them measured."""
    monkeypatch.setattr(update_course, "COURSE", tmp_path / "course.toml")
    recipe = types.SimpleNamespace(
        __doc__="What it is about.\n\nAnd more.",
        Config=types.SimpleNamespace(epochs=3),
    )
    recipes = {name: recipe for name in ("one", "other")}
    monkeypatch.setattr(update_course, "read_recipes", lambda: recipes)
    rows = {
        "python -m recipes.one": ROW,
        "python -m recipes.one --epochs 1": ROW | {"train_seconds": "120"},
    }
    monkeypatch.setattr(update_course.results, "read", lambda: rows)

    def write(*entries):
        lines = ["[[chapter]]", 'title = "A chapter"', 'about = "What it is."']
        update_course.COURSE.write_text("\n".join([*lines, *entries]))
        return update_course.read_chapters()

    return write


def test_the_course_is_current():
    assert update_course.main(["--check"]) == 0


def test_every_recipe_has_a_place():
    chapters = update_course.read_chapters()
    listed = [name for chapter in chapters for name in chapter["recipes"]]
    assert sorted(listed) == sorted(RECIPES)


BOOKS = sorted(update_course.NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize(
    "book",
    [
        pytest.param(
            book,
            # A kernel a chapter; the recipes are tried by tests of their own.
            marks=pytest.mark.thorough
            if book in BOOKS[:2]
            else pytest.mark.slow,
            id=book.stem,
        )
        for book in BOOKS
    ],
)
def test_a_notebook_of_the_course_runs(book, tmp_path):
    run_notebook(nbformat.read(book, as_version=4), tmp_path)


@pytest.mark.thorough
def test_a_cell_can_be_run_twice(tmp_path):
    book = nbformat.read(BOOKS[0], as_version=4)
    [*_, cell] = [cell for cell in book.cells if cell.cell_type == "code"]
    book.cells = [cell, copy.deepcopy(cell)]
    run_notebook(book, tmp_path)
    assert len([*tmp_path.glob("runs/*/2/metrics.json")]) == 1


CHAPTERS = update_course.read_chapters()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CHAPTERS)))
def test_each_recipe_of_a_chapter_runs_twice_in_a_kernel(
    number, tmp_path, monkeypatch
):
    monkeypatch.setattr(update_course, "IN_NOTEBOOK", None)  # all of them
    for entry in CHAPTERS[number]["recipes"].values():
        monkeypatch.setitem(entry, "in_notebook", True)
    text = update_course.notebook(number, CHAPTERS[number])
    book = nbformat.reads(text, as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(cells) == len(CHAPTERS[number]["recipes"])
    book.cells = [*cells, *copy.deepcopy(cells)]
    run_notebook(book, tmp_path)
    assert len([*tmp_path.glob("runs/*/2/metrics.json")]) == len(cells)


def run_notebook(book, folder):
    """Run a notebook as people do; each cell shows the report of its run."""
    runner = ExecutePreprocessor(timeout=300, kernel_name="python3")
    runner.preprocess(book, {"metadata": {"path": str(folder)}})
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        shown = [o for o in cell.outputs if o.output_type == "display_data"]
        assert any("<img " in o.data.get("text/html", "") for o in shown)


def test_a_notebook_trains_the_first_recipes_of_its_chapter(small):
    [chapter] = small("[chapter.recipes.one]", "[chapter.recipes.other]")
    chapter["recipes"]["other"]["in_notebook"] = False
    path = update_course.notebook_path(3, chapter)
    assert path.name == "03_a_chapter.ipynb"
    book = nbformat.reads(update_course.notebook(3, chapter), as_version=4)
    nbformat.validate(book)
    [code] = [cell for cell in book.cells if cell.cell_type == "code"]
    assert "from recipes.one import Config, train" in code.source
    assert (
        "train(Config(epochs=1, run=RunOptions(dry_run=True)))" in code.source
    )
    assert "recipes.other" in book.cells[-1].source


def test_what_is_not_measured_is_said(small):
    chapters = small(
        "[chapter.recipes.one]",
        'try = [{ flags = "--epochs 1", teaches = "less will do" }]',
        "[chapter.recipes.other]",
        'states = "all of it"',
    )
    page, text = update_course.page(chapters), update_course.text(chapters)
    for written in (page, " ".join(text.split())):
        assert "99.00 ± 0.10 % after less than a second of training" in written
        assert "after 2 minutes of training. So less will do." in written
        assert "Not measured yet" in written.partition("recipes.other")[2]
        assert "The lectures state: all of it" in written
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["[chapter.recipes.one]"], "every recipe once. other"),
        (
            [f"[chapter.recipes.{name}]" for name in ("one", "other", "odd")],
            "every recipe once. odd",
        ),
        (
            [
                "[chapter.recipes.one]",
                'try = [{ flags = "--epochs 9", teaches = "more" }]',
                "[chapter.recipes.other]",
            ],
            "no results of `python -m recipes.one --epochs 9`",
        ),
    ],
)
def test_a_course_with_gaps_is_refused(small, entries, said):
    with pytest.raises(SystemExit, match=said):
        small(*entries)
