"""Recipes and Python, run as a user runs them."""

import contextlib
import importlib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = sorted(path.stem for path in ROOT.glob("recipes/[!_]*.py"))


def config_of(recipe):
    """The Config of a recipe, with its defaults."""
    return importlib.import_module(f"recipes.{recipe}").Config()


# A rule or a solution knows no batches, or needs all of the data in one place.
IN_BATCHES = [
    name for name in RECIPES if hasattr(config_of(name), "batch_size")
]
ON_ONE_DEVICE = [
    name for name in RECIPES if config_of(name).run.strategy == "none"
]
RECIPE = "mnist_softmax_regression"  # for what they all share


def run_recipe(name, *flags):
    """Run a recipe in this process; return its exit code."""
    recipe = importlib.import_module(f"recipes.{name}")
    try:
        return recipe.main([str(flag) for flag in flags])
    except SystemExit as end:
        return end.code


def run_python(*arguments, **options):
    """Run Python in a process of its own, from the root of the checkout."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=options.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 120),
        **options,
    )


@contextlib.contextmanager
def ordinary_rights():
    """Give up root's right to read and write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def answer(capsys, *flags, recipe=RECIPE):
    """Run a recipe; return its exit code and what it says to stderr."""
    code = run_recipe(recipe, *flags)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said


def is_a_usage_error(capsys, *flags, recipe=RECIPE):
    code, said = answer(capsys, *flags, recipe=recipe)
    assert code == 2, said
    return said


ASCII = (
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)
