"""What README says works when it is typed, and its numbers are the table's."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
from helpers import handwriting
from helpers.commands import ROOT
from PIL import Image

README = (ROOT / "README.md").read_text()
REAL = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
).expanduser()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_blocks_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102


# Instead of a pip that takes minutes: what is to be installed is looked at, and
# what is installed here already is put where the new environment finds it.
PIP = """
import pathlib, re, sys, tomllib

arguments = sys.argv[1:]
venv = pathlib.Path(sys.prefix)
if arguments[:1] == ["--python"]:
    venv, arguments = pathlib.Path(arguments[1]), arguments[2:]
assert arguments.pop(0) == "install", arguments
extra = re.fullmatch(r"[.](?:\\[(.*)\\])?", arguments.pop()).group(1)
assert arguments.pop() == "--editable", arguments
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
assert extra in (None, *project["optional-dependencies"]), extra
[packages] = venv.glob("lib/python*/site-packages")
(packages / "installed.pth").write_text(f"{pathlib.Path.cwd()}\\n{HERE}\\n")
if arguments == ["pip"]:
    source = pathlib.Path(__file__).read_text()
    (packages / "pip").mkdir(exist_ok=True)
    (packages / "pip" / "__init__.py").touch()  # or a real one goes first
    (packages / "pip" / "__main__.py").write_text(source)
    command = venv / "bin" / "pip"
    command.write_text(f"#!{venv.absolute()}/bin/python\\n{source}")
    command.chmod(0o755)
else:
    assert not arguments, arguments
"""
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m pip") shift 2; exec "{python}" "{pip}" "$@";;
esac
exec "{python}" "$@"
"""


@pytest.fixture
def newcomer(tmp_path):
    """A function that types a script in a fresh copy, on a bare machine.

    There is a `python3` with pip, but no `python`, no `pip` and no network.
    """
    copy, tools = tmp_path / "checkout", tmp_path / "tools"
    unwanted = (".git", ".venv", "*-sample", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*unwanted))
    shutil.rmtree(copy / "runs", ignore_errors=True)
    (copy / "scans").mkdir()
    for file in ("digit.png", "scans/1.png", "photo.jpg"):  # of the page
        Image.fromarray(255 - handwriting.five(20)).save(copy / file)
    tools.mkdir()
    pip = tools / "pip.py"
    pip.write_text(f"HERE = {sysconfig.get_path('purelib')!r}\n{PIP}")
    python = tools / "python3"
    python.write_text(PYTHON.format(python=sys.executable, pip=pip))
    python.chmod(0o755)
    for name in ("bash", "sh", "env", "uname", "ln", "git"):
        if not (found := shutil.which(name)):
            pytest.skip(f"there is no {name}")
        (tools / name).symlink_to(found)
    environment = {
        "HOME": str(tmp_path),
        "PATH": str(tools),
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTEST_ADDOPTS": "--collect-only -q",
        # Nobody listens there: downloads fail at once.
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost",
    }

    def type_in(script, timeout=60):
        # A newcomer stops at the first line that fails; `bash -e` does not if
        # that is in the midst of a list. A line ends where it ends, not in &&.
        lines = re.split(r"(?<!&&)\n+", script.strip())
        stop = "|| { echo That failed. >&2; exit 1; }"
        script = "".join(f"{line}\n[ $? = 0 ] {stop}\n" for line in lines)
        done = subprocess.run(
            ["bash", "-xc", script],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    git = "git -c user.name=A -c user.email=a@b -c commit.gpgsign=false"
    type_in(f"git init -q\ngit add -A\n{git} commit -q -m Begin")
    type_in.copy = copy
    return type_in


def test_what_is_installed_by_hand_can_be_installed():
    """Also by the commands in the midst of a sentence."""
    found = re.findall(r"pip (?:--python \.venv )?install ([^&`\n]*)", README)
    assert len(found) >= 4
    for what in found:
        assert re.fullmatch(r"(pip )?--editable ('\.\[\w+\]'|\.)", what.strip())


@pytest.mark.thorough
def test_the_first_commands_leave_an_environment_for_all_others(newcomer):
    """The help of those that take their time, and no scripts."""
    script = "".join(blocks("sh")).partition("python scripts/")[0]
    slow = r"^(python -m (?:recipes\.|pytest)[^#\n]*?)(?: *#.*)?$"
    script = re.sub(slow, r"\1 --help", script, flags=re.MULTILINE)
    said = newcomer(re.sub("python -m zoo.*", "", script), 120)
    assert said.count("usage: python -m recipes.mnist_cnn ") >= 2
    assert "[file_or_dir]" in said  # pytest's
    assert "Run one with `python -m recipes.NAME`" in said


@pytest.mark.thorough
def test_every_line_runs_as_printed_in_the_order_of_the_page(newcomer):
    """On the sample, until the data are prepared."""
    script, prepare = "".join(blocks("sh")), "python scripts/prepare_data.py"
    before, after = script.split(prepare)
    if not (REAL / "fashion_mnist").exists():
        prepare = after = ""
    # TFDS would download them into the folder that is its default.
    place = f'ln -s "{REAL}" ~/tensorflow_datasets'
    said = newcomer("\n".join([before, place, prepare + after]), 1_800)
    runs = newcomer.copy / "runs"
    records = sorted(runs.glob("mnist_cnn-sample/*/metrics.json"))
    assert len(records) == 3  # alone, on two devices, with two workers
    for record in records:
        metrics = json.loads(record.read_text())["metrics"]
        assert metrics["test_accuracy"] >= 0.95
    assert "tests/scripts/test_readme.py::" in said
    if after:
        assert "export TFDS_DATA_DIR=" in said
        assert len(list(runs.glob("seeds/runs/mnist_cnn/*"))) == 3


def test_results_are_those_of_the_table():
    import update_readme

    assert update_readme.main(["--check"]) == 0


def test_both_pages_of_results_name_the_same_exceptions():
    pages = README, (ROOT / "saved_models" / "RESULTS.md").read_text()
    [ours, theirs] = [
        re.search("There are two exceptions: .*? the lecture does[.]", words)[0]
        for words in (" ".join(page.split()) for page in pages)
    ]
    assert ours == theirs


def test_map_shows_every_room():
    rooms = [
        *(ROOT / "zoo").glob("_[a-z]*.py"),
        *(ROOT / "recipes" / "lab").glob("[a-z]*.py"),
    ]
    names = [path.name for path in rooms]
    for path in (ROOT / "recipes" / "lab").glob("*/__init__.py"):
        names.append(f"{path.parent.name}/")
    for name in names:
        assert f"  {name} " in README, f"{name} is missing from the map"
