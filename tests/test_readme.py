"""What README says works when it is typed, and its numbers are the table's."""

import re

import pytest
from conftest import ROOT, run_python

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    """Every `python ...` line of the shell blocks, without its set-up."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    found = [re.search(r"python3? ((-m|scripts/).*)", line) for line in lines]
    return [
        match.group(1)
        for line, match in zip(lines, found, strict=True)
        if match and not re.search(r"-m (venv|pip|pytest)", line)
    ]


def test_python_blocks_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102


@pytest.mark.parametrize("command", commands())
def test_shell_line_runs(command, tmp_path):
    if command.startswith("-m recipes."):
        command += f" --dry-run --output-dir {tmp_path}"
    if "run_recipes" in command or "benchmark" in command:
        command = command.split()[0] + " --help"
    if "prepare_data" in command:
        command = command.split()[0] + " --help"
    answer = run_python(*command.split())
    assert answer.returncode == 0, answer.stderr


def test_results_are_those_of_the_table():
    assert run_python("scripts/update_readme.py", "--check").returncode == 0


def test_map_shows_every_room():
    for folder in ("zoo", "recipes"):
        for path in (ROOT / folder).glob("_[a-z]*.py"):
            assert path.name in README, f"{path} is missing from the map"
