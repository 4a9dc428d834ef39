"""What does a name name? A template of features against the word alone.

    python -m recipes.entity_template

This is named-entity recognition. Before networks learned their own features,
people chose them. Whether a word of a sentence is the name of a person, a place
or an organization was told from a template: the word, its neighbors, its
letters, its shape, and the words within four steps. What is learned is how much
each of them counts.

In these sentences, which a grammar makes up, most names may be of any kind, and
many are new. In some sentences nothing but a name's last letters can tell its
kind, so not all can be found. Beside the template there is the same tagger of
the word alone, which can only say what a name was the most often. Expect 98.6 %
of the words from the template. The report shows names in their sentences with
what both make of them, and which features speak for what.

Reference: Finkel, Grenager and Manning 2005.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY, ENTITY_F1

DATASET, ALONE = "entities_template", "entities_word"
TARGETS = (Target(ACCURACY, 0.98), Target(ENTITY_F1, 0.88))
SHOWN = 15  # names
STRONGEST = 8  # features of each class


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    embedding_units: Count = 16
    """Length of the row of numbers that a feature has."""
    epochs: Epochs = 10
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from recipes.lab import runs, tasks
    from recipes.lab.data import sources

    with runs.open_run(config, DATASET) as run:
        model, history = _fit(run, run.data, "train")
        task = tasks.Classification(run.data)
        scores = task.score(model, run.data.test)
        scores.metrics[ENTITY_F1.name] = _f1(scores)

        # The same tagger, of the words alone.
        data = sources.load(ALONE, config.run)
        other, other_history = _fit(run, data, "word_alone")
        alone = tasks.Classification(data).score(other, data.test, quiet=True)
        for metric, value in {
            ACCURACY: alone.metrics[ACCURACY.name],
            ENTITY_F1: _f1(alone),
        }.items():
            scores.metrics[f"word_alone_{metric.name}"] = value
        return run.finish(
            *(task, model, scores, history, other_history),
            sections=[_sentences(run, scores, alone), _features(run, model)],
        )


def _fit(run, data, phase):
    """Train a tagger on words as a template describes them."""
    import keras

    from recipes.lab import training
    from recipes.lab.data.splits import steps_per_epoch

    config = run.config
    steps = config.epochs * steps_per_epoch(data.train, config.batch_size)
    with run.scope():
        model = training.create_model(
            *(data, "entity_template"),
            vocabulary_size=len(data.inputs.vocabulary),
            embedding_units=config.embedding_units,
        )
        model.compile(
            optimizer=keras.optimizers.Adam(
                training.one_cycle(config.learning_rate, steps, warmup=0.1)
            ),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
    history = training.fit(
        *(run, model, data.train),
        validation=data.validation,
        phase=phase,
        quiet=phase != "train",
    )
    return model, history


def _f1(scores):
    """Return the F1 of the names: found and of the right kind."""
    from sklearn.metrics import f1_score

    predicted = scores.outputs.argmax(axis=1)
    kinds = [*range(1, scores.outputs.shape[1])]
    return float(
        f1_score(
            scores.split.targets,
            predicted,
            labels=kinds,
            average="micro",
            zero_division=0,
        )
    )


def _sentences(run, scores, alone):
    """Return the report's section with names in their sentences."""
    from recipes.lab.data.synthetic import entities
    from recipes.lab.report import page

    classes = run.data.class_names
    texts = entities.sentences("test", run.data.is_sample)
    answers = [one.outputs.argmax(axis=1) for one in (scores, alone)]
    rows = []
    for number, (words, place) in enumerate(entities.each_word(texts)):
        truth = scores.split.targets[number]
        if truth and len(rows) < SHOWN:
            tags = truth, *(found[number] for found in answers)
            kinds = (classes[tag] for tag in tags)
            rows.append((words[place], " ".join(words), *kinds))
    header = ("name", "sentence", "is", "template", "word alone")
    caption = (
        f"The first {len(rows)} names of the test set: what they name, and "
        "what the template and the word alone take them for."
    )
    html = page.table(rows, header)
    return lambda plots: ("Names in their sentences", caption, html)


def _features(run, model):
    """Return the report's section on which features speak for what."""
    import numpy as np

    from recipes.lab.report import page

    [rows] = model.get_layer("embedding").get_weights()
    kernel, _ = model.get_layer("predictions").get_weights()
    # How much each of them adds; the same for all classes changes nothing.
    weights = rows[1:] @ kernel
    weights = weights - weights.mean(axis=1, keepdims=True)
    vocabulary = np.array(run.data.inputs.vocabulary)
    table = []
    for i, kind in enumerate(run.data.class_names):
        strongest = np.argsort(-weights[:, i])[:STRONGEST]
        table.append((kind, ", ".join(vocabulary[strongest])))
    return lambda plots: (
        "What speaks for what",
        f"The {STRONGEST} features with the largest weight for each class.",
        page.table(table),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
