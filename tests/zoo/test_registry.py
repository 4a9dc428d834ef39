"""The registry, `python -m zoo`, and the rules that the files themselves keep.

Two of the rules: without an underscore, a file in `zoo/` is a model family and
a file in `recipes/` can be run; and `zoo/` imports Keras, NumPy and the
standard library only.
"""

import ast
import dataclasses
import doctest
import importlib
import math
import sys
import types

import pytest
from helpers.commands import RECIPES, ROOT, run_python

import zoo
from zoo import _registry
from zoo.__main__ import main, read_models

FAMILIES = sorted(path.stem for path in ROOT.glob("zoo/[!_]*.py"))
SOURCES = sorted(path.name for path in ROOT.glob("zoo/*.py"))


@pytest.fixture
def own_table(monkeypatch):
    """Let a test register models that the others never see."""
    monkeypatch.setattr(_registry, "_models", dict(_registry._models))


FACTS = {
    "task": "classification",
    "inputs": "images",
    "lecture": "none",
    "reference": "none",
}


def register(builder):
    return zoo.register_model(**FACTS)(builder)


def test_decorator_registers_the_builder_that_it_returns(own_table):
    @register
    def a_new_model():
        """Build it.

        And more.
        """

    assert zoo.list_models()[-1] == "a_new_model"
    assert zoo.model_info("a_new_model").builder is a_new_model
    assert zoo.model_info("a_new_model").summary == "Build it."


def test_second_model_of_a_name_is_refused(own_table):
    def mlp():
        """Build another."""

    before = zoo.model_info("mlp").builder
    with pytest.raises(ValueError, match="'mlp' is already registered"):
        register(mlp)
    assert zoo.model_info("mlp").builder is before


@pytest.mark.parametrize(
    ("argument", "known"), [("task", "classification"), ("inputs", "images")]
)
def test_unknown_kind_is_refused(argument, known):
    message = f"`{argument}` must be .*{known}.*'cooking'"
    with pytest.raises(ValueError, match=message):
        zoo.register_model(**FACTS | {argument: "cooking"})
    with pytest.raises(ValueError, match=message):
        zoo.list_models(**{argument: "cooking"})


@pytest.mark.parametrize("look_up", [zoo.create_model, zoo.model_info])
def test_unknown_name_suggests_what_is_close(look_up):
    with pytest.raises(ValueError, match="'lenet'.*Did you mean.*lenet5"):
        look_up("lenet")


@pytest.mark.parametrize("look_up", [zoo.create_model, zoo.model_info])
@pytest.mark.parametrize("name", ["", "zzzz", None, 5])
def test_hopeless_name_gets_no_suggestion(look_up, name):
    with pytest.raises(ValueError, match="python -m zoo") as refusal:
        look_up(name)
    assert repr(name) in str(refusal.value)
    assert "Did you mean" not in str(refusal.value)


def test_wrong_argument_stays_a_type_error():
    with pytest.raises(TypeError, match="hidden_layers"):
        zoo.create_model("mlp", hidden_layers=3)


def test_arguments_reach_the_builder():
    model = zoo.create_model("mlp", hidden_units=(8,), name="narrow")
    assert model.get_layer("hidden1").units == 8
    assert model.name == "narrow"


def test_models_are_listed_in_the_order_of_teaching():
    names = zoo.list_models()
    lessons = ["softmax_regression", "mlp", "lenet5", "lecture_cnn"]
    assert [name for name in names if name in lessons] == lessons
    assert len(names) == len(set(names))


def test_wildcards_choose_among_the_names():
    cnns = zoo.list_models("*cnn*")
    assert {"cnn", "lecture_cnn"} <= set(cnns)
    assert cnns == [name for name in zoo.list_models() if "cnn" in name]
    assert zoo.list_models("lenet?") == ["lenet5"]
    assert zoo.list_models("LENET?") == []
    assert zoo.list_models("lenet") == []


def test_tasks_divide_the_models():
    by_task = [zoo.list_models(task=task) for task in _registry.TASKS]
    assert sorted(sum(by_task, [])) == sorted(zoo.list_models())
    by_inputs = [zoo.list_models(inputs=kind) for kind in _registry.INPUTS]
    assert sorted(sum(by_inputs, [])) == sorted(zoo.list_models())
    assert "lenet5" in zoo.list_models(task="classification")
    assert zoo.list_models("lenet*", task="generation") == []
    assert zoo.list_models("lenet*", inputs="tables") == []


@pytest.mark.parametrize("name", zoo.list_models())
def test_info_says_all_there_is_to_say(name):
    info = zoo.model_info(name)
    assert info.task in _registry.TASKS
    assert info.inputs in _registry.INPUTS
    assert info.lecture
    assert any(character.isdigit() for character in info.reference)  # a year
    assert info.summary.endswith(".")
    assert getattr(zoo, name) is info.builder


def test_no_name_of_the_package_hides_a_file():
    families = {path.stem for path in (ROOT / "zoo").glob("[a-z]*.py")}
    for family in families:
        assert isinstance(getattr(zoo, family), types.ModuleType)
    assert not families & {*zoo.list_models()}


@pytest.mark.parametrize("function", [zoo.list_models, zoo.create_model])
def test_docstring_example_of_the_registry_runs(function):
    finder = doctest.DocTestFinder(recurse=False)
    [example] = finder.find(function, function.__name__, globs={"zoo": zoo})
    assert example.examples
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(example, out=report.append).failed == 0, "".join(report)


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
    assert recipe.DATASET in sources.SOURCES
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


def test_command_without_name_prints_the_table(capsys):
    assert main([]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["model", "task", "parameters"]
    assert all(len(line) <= 80 for line in lines)
    rows = [line for line in lines if not line.startswith(" ")]
    assert [row.split()[0] for row in rows] == zoo.list_models()
    lenet = lines.index("lenet5                     classification      60,000")
    assert lines[lenet + 1].strip() == zoo.model_info("lenet5").summary


def test_table_is_read_from_the_sources_as_it_is_registered():
    """The sums are those of the docstrings' tables, which tests compare with
    the models."""
    infos = [zoo.model_info(name) for name in zoo.list_models()]
    assert [(name, task, text) for name, task, _, text in read_models()] == [
        (info.name, info.task, info.summary) for info in infos
    ]
    for name, _, parameters, _ in read_models():
        weights = zoo.create_model(name).trainable_weights
        numbers = [math.prod(weight.shape) for weight in weights]
        assert parameters == f"{sum(numbers):,}"


def test_table_needs_no_keras_and_starts_no_tensorflow(capsys):
    assert main([]) == 0
    done = run_python("-m", "zoo", env={"KERAS_BACKEND": "none such"})
    assert done.stdout == capsys.readouterr().out
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.thorough
def test_command_shows_a_model_without_what_tensorflow_logs():
    done = run_python("-m", "zoo", "mlp", env={"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert "Total params: 669,706" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [["-m", "zoo.__main__"], ["-m", "zoo"]])
def test_only_the_command_itself_is_imported_without_keras(
    options, monkeypatch
):
    monkeypatch.setattr(sys, "orig_argv", ["python", *options])
    assert not zoo._is_command()  # this process has its program
    monkeypatch.setattr(sys, "argv", ["-m"])
    assert zoo._is_command() == (options == ["-m", "zoo"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "other", *options])
    assert not zoo._is_command()


def test_command_with_a_name_shows_the_model(capsys):
    assert main(["lenet5"]) == 0
    out = capsys.readouterr().out
    assert zoo.model_info("lenet5").reference in " ".join(out.split())
    assert "Departures from the paper" in out  # the docstring
    assert "see help(zoo.create_model)" in out
    assert "distances" in out.partition("Param #")[2]  # Keras' summary


def test_command_with_an_unknown_name_is_a_usage_error(capsys):
    assert main(["lenet"]) == 2
    captured = capsys.readouterr()
    assert "Did you mean lenet5" in captured.err
    assert captured.out == ""


def test_command_explains_itself(capsys):
    assert main(["--help"]) == 0
    assert "python -m zoo" in capsys.readouterr().out
    assert main(["--list"]) == 2
    captured = capsys.readouterr()
    assert "--list" in captured.err
    assert "python -m zoo" in captured.err
    assert captured.out == ""
