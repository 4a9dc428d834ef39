"""The registry: what is entered, what is found, what is refused."""

import doctest

import numpy as np
import pytest

import zoo
from zoo import _registry


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


def test_numbers_of_numpy_are_numbers():
    options = {"hidden_units": (np.int64(7),), "num_classes": np.int32(3)}
    assert zoo.create_model("mlp", **options).output_shape == (None, 3)
    heads = {"digit": np.int64(10), "slant": (np.float64(0.0), 2.0)}
    model = zoo.create_model("multi_task_cnn", heads=heads)
    assert model.output["digit"].shape == (None, 10)


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


@pytest.mark.parametrize("function", [zoo.list_models, zoo.create_model])
def test_docstring_example_of_the_registry_runs(function):
    finder = doctest.DocTestFinder(recurse=False)
    [example] = finder.find(function, function.__name__, globs={"zoo": zoo})
    assert example.examples
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(example, out=report.append).failed == 0, "".join(report)
