"""The course has every recipe once, and says what is measured."""

import pytest
import update_course
from helpers.commands import RECIPES

ROW = {
    "metric": "test_accuracy",
    "mean": "0.99",
    "std": "0.001",
    "train_seconds": "0.4",
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Return what writes a course of few recipes, one of them measured."""
    monkeypatch.setattr(update_course, "COURSE", tmp_path / "course.toml")
    recipes = {name: update_course for name in ("one", "other")}
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


def test_what_is_not_measured_is_said(small):
    chapters = small(
        "[chapter.recipes.one]",
        'try = [{ flags = "--epochs 1", teaches = "less will do" }]',
        "[chapter.recipes.other]",
        'states = "all of it"',
    )
    page, text = update_course.page(chapters), update_course.text(chapters)
    for written in (page, " ".join(text.split())):
        assert "Test accuracy 99.00 ± 0.10 % in less than a second" in written
        assert "in 2 minutes. So less will do." in written
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
