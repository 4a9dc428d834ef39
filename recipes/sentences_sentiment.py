"""Was the writer pleased? A recurrent network reads sentences to their end.

    python -m recipes.sentences_sentiment

"The plot was not bad but the ending was hardly surprising": a negation turns
the word behind it around, and of two clauses one counts. So the same words mean
one thing or its opposite by their order. Logistic regression on how often each
word is there, a bag of words, knows no order and little more than guesses; a
long short-term memory reads the words one after the other and finds the rule.

A few writers mean the opposite of what they say, so that 99.5 % is the most to
be reached: expect 99.5 %. The export takes text. The report shows what the
network thinks after each word.

Reference: Hochreiter and Schmidhuber 1997.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import ACCURACY

DATASET = "sentences"
TARGETS = (Target(ACCURACY, 0.99),)
SHOWN = 6  # sentences that the report reads word by word


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 32
    """Width of the recurrent layer."""
    epochs: Epochs = 10
    batch_size: BatchSize = 50
    learning_rate: Rate = 0.01
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from recipes.lab import runs, tasks, training
    from recipes.lab.data.synthetic import sentences

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(
                data,
                "sentiment",
                vocabulary_size=len(data.inputs.vocabulary),
                hidden_units=config.hidden_units,
            )
            model.compile(
                optimizer=keras.optimizers.Adam(
                    training.one_cycle(config.learning_rate, steps, warmup=0.2)
                ),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        history = training.fit(
            run, model, data.train, validation=data.validation
        )

        task = tasks.Classification(data)
        scores = task.score(model, data.test)

        # Beside it what knows no order.
        regression = LogisticRegression(max_iter=1_000)
        regression.fit(sentences.counts(data.train.inputs), data.train.targets)
        scores.metrics[f"bag_of_words_{ACCURACY.name}"] = regression.score(
            sentences.counts(data.test.inputs), data.test.targets
        )
        section = _word_by_word(model, data)
        return run.finish(task, model, scores, history, sections=[section])


def _word_by_word(model, data):
    """Return the report's section on what is thought after each word."""
    import numpy as np

    from recipes.lab.report import attention
    from recipes.lab.tasks import scores

    read = data.test.inputs
    longest = np.argsort(-np.count_nonzero(read, axis=1), kind="stable")
    texts = data.inputs.write(read[longest[:SHOWN]])
    words = [text.split() for text in texts]
    beginnings = [
        " ".join(each[: i + 1]) for each in words for i in range(len(each))
    ]
    pleased = scores.predict(model, data.inputs.read(beginnings))[:, 1]
    ends = np.cumsum([len(each) for each in words])[:-1]
    return lambda plots: attention.reading_section(
        plots, words, np.split(pleased, ends), data.class_names
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
