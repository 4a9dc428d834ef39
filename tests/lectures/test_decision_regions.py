"""What the lectures say of decision regions: lines, corners, and two layers."""

from dataclasses import dataclass

import pytest
import tensorflow as tf

import zoo
from recipes.lab import tasks
from recipes.lab.data import tables
from recipes.lab.flags import RunOptions
from recipes.lab.runs import open_run
from recipes.lab.training import minimize, second_order


@dataclass(frozen=True)
class Config:
    """The settings of a search for the best weights."""

    run: RunOptions


@pytest.fixture
def few_steps(monkeypatch):
    """They are enough, and nobody wants to know the last digit."""
    monkeypatch.setitem(second_order.OPTIONS, "maxiter", 200)


def fitted_accuracy(folder, shape, hidden_units, restarts=1):
    """Fit a network to points as well as can be; return what it gets right."""

    def cross_entropy(truth, outputs):
        labels = tf.cast(truth, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
        # A little decay: what separates the classes has no best weights.
        decay = sum(tf.nn.l2_loss(w) for w in model.trainable_weights)
        return tf.reduce_mean(losses) + 3e-4 * decay

    model = zoo.create_model(
        "table_mlp", hidden_units=hidden_units, classifier_activation=None
    )
    config = Config(RunOptions(output_dir=folder))
    with open_run(config, tables.TABLES[shape]()) as run:
        train = run.data.train
        model.get_layer("standardization").adapt(train.inputs)
        minimize(
            *(run, model, train, cross_entropy),
            restarts=restarts,
            loss_in_words="cross-entropy",
        )
    scores = tasks.Classification(run.data).score(model, train, quiet=True)
    return scores.metrics["test_accuracy"]


FACTS = [
    ("circles", (3,), 0.98, 1),
    ("circles", (1,), 0.5, 0.75),
    ("xor", (1,), 0.5, 0.8),
    ("xor", (3,), 0.95, 1),
    ("spirals", (3,), 0.5, 0.85),
    ("spirals", (8, 8), 0.98, 1),
]


@pytest.mark.parametrize(
    ("shape", "hidden_units", "low", "high"),
    [
        pytest.param(*fact, marks=pytest.mark.thorough if i else ())
        for i, fact in enumerate(FACTS)
    ],
)
@pytest.mark.usefixtures("few_steps")
def test_what_so_many_neurons_can_tell_apart(
    shape, hidden_units, low, high, tmp_path
):
    assert low <= fitted_accuracy(tmp_path, shape, hidden_units) <= high
