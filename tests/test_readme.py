"""What README says works when it is typed, and its numbers are the table's."""

import importlib
import re

import pytest
from conftest import ROOT, run_recipe

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_lines():
    """Every `python ...` of the shell blocks that is not set-up."""
    lines = "".join(blocks("sh")).splitlines()
    found = [re.search(r"python3? ([^#]*)", line) for line in lines]
    commands = [match.group(1).strip() for match in found if match]
    setup = re.compile(r"-m (venv|pip|pytest)")
    return [
        # The fixture `dry_run` runs the main job; others take their time.
        pytest.param(c, marks=pytest.mark.thorough)
        if re.match(r"-m recipes\.\S+ --(?!help)", c)
        else c
        for c in sorted(set(commands))
        if not setup.match(c)
    ]


def test_python_blocks_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102


@pytest.mark.parametrize("line", shell_lines())
def test_shell_line_runs(line, tmp_path, dry_run):
    """Recipes on the embedded digits; of scripts, which write, the help."""
    first, *rest = line.split()
    if first.startswith("scripts/"):
        script = importlib.import_module(first[8:].removesuffix(".py"))
        with pytest.raises(SystemExit) as end:
            script.main(["--help"])
        assert end.value.code == 0
    elif rest[0].startswith("recipes."):
        # The fixture `dry_run` has run the main job without flags.
        flags = rest[1:] and ["--dry-run", "--output-dir", tmp_path, *rest[1:]]
        if flags:
            assert run_recipe(rest[0].removeprefix("recipes."), *flags) == 0
    else:
        module = importlib.import_module(f"{rest[0]}.__main__")
        assert module.main(rest[1:]) == 0


def test_results_are_those_of_the_table():
    import update_readme

    assert update_readme.main(["--check"]) == 0


def test_map_shows_every_room():
    for folder in ("zoo", "recipes"):
        for path in (ROOT / folder).glob("_[a-z]*.py"):
            assert path.name in README, f"{path} is missing from the map"
