"""Who will develop heart failure? A recurrent network reads histories of codes.

    python -m recipes.heart_failure

A history is what a clinic writes down of a patient: diagnoses, drugs and
examinations, one after the other. These patients are simulated, and their risk
is known: it is high if arrhythmia follows hypertension that no drug has treated
in between. Logistic regression on how often each code was written down cannot
see that, for it knows no order. The network reads the codes in their order and
finds the rule. Expect an area under the curve (AUC) of 0.85; nothing can have a
larger one than the risk itself, which is stated, too.

The export takes text, codes with blanks between them. The report shows whether
risks are as large as they are said to be.

Reference: Choi, Schuetz, Stewart and Sun 2017.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import AUC

DATASET = "patients"
TARGETS = (Target(AUC, 0.80),)
GROUPS = 10  # of patients, by their risk


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    hidden_units: Count = 64
    """Width of the recurrent layer."""
    epochs: Epochs = 10
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    from recipes.lab import runs, tasks, training
    from recipes.lab.data.synthetic import patients

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(
                data,
                "heart_failure",
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

        # Beside it what knows no order, and the risk itself.
        regression = LogisticRegression(max_iter=1_000)
        regression.fit(patients.counts(data.train.inputs), data.train.targets)
        counts = patients.counts(data.test.inputs)
        risks = {
            "": scores.outputs[:, 1],
            "counts_": regression.predict_proba(counts)[:, 1],
            "best_possible_": patients.risk(data.test.inputs),
        }
        for owner, risk in risks.items():
            area = roc_auc_score(data.test.targets, risk)
            scores.metrics[f"{owner}{AUC.name}"] = float(area)
        section = _calibration(risks, data.test.targets)
        return run.finish(task, model, scores, history, sections=[section])


def _calibration(risks, failed):
    """Return the report's section on risks that are said, and that are."""
    import numpy as np

    from recipes.lab.report import comparisons

    lines = {"as they should be": {0: [0], 100: [100]}}
    names = {"": "network", "counts_": "logistic regression on counts"}
    for owner, name in names.items():
        order = np.argsort(risks[owner])
        lines[name] = {
            100 * float(risks[owner][group].mean()): [
                100 * float(failed[group].mean())
            ]
            for group in np.array_split(order, GROUPS)
        }
    panel = comparisons.Panel(
        lines,
        x_label="risk that is said, in %",
        y_label="patients whose heart failed, in %",
    )
    caption = (
        f"Each dot is a tenth of the {len(failed):,} test patients, from the "
        "lowest risks that are said to the highest. On the line they are as "
        "large as they are said to be. The further a line reaches to both "
        "sides, the more it tells patients apart."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "calibration"),
        heading="Risks, said and true",
        caption=caption,
        panels=(panel,),
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
