"""Is a site of the genome methylated? A network of DNA and one of neighbors.

    python -m recipes.deepcpg

Where a C is followed by a G in DNA, a cell may hang a methyl group on the C,
which decides what it makes of the genes nearby. What is measured in a single
cell has gaps. The DNA module reads the letters around a site, the CpG module
what is known of the nearest sites in six cells, and the joint module what both
have made of that. As in the paper each module is trained alone first.

These cells are simulated, and two things are planted: a motif, to which a
protein binds that keeps its site free of methylation, and a pattern that all
cells have in common. So each module knows a part, and both together know more.
Expect an area under the curve (AUC) of 0.874. The report shows the motif as the
first layer has found it.

The networks are smaller than the paper's; `zoo.create_model("deepcpg")` has its
sizes.

Reference: Angermueller, Lee, Reik and Stegle 2017; Alipanahi et al. 2015 (what
filters look for in DNA).
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import BatchSize, Count, Rate, RunOptions
from recipes.lab.metrics import AUC, MOTIF_SHARE

DATASET = "methylation"
MODULES = ("dna", "cpg")
TARGETS = (Target(AUC, 0.85),)
FEWEST = 20  # places where a filter answers, to say what it looks for
SHOWN = 8  # of the filters
# The sizes that are not flags.
SMALL = {
    "max_distance": 1_000,
    "kernel_sizes": (11, 3),
    "pool_sizes": (4, 2),
    "dna_units": 64,
    "joint_units": (64, 64),
    "dropout": 0.5,
}


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    filters: tuple[Count, Count] = (24, 32)
    """Number of filters of both convolutions over DNA."""
    cpg_units: Count = 32
    """Width of the recurrent layer, in each direction."""
    epochs: Count = 6
    """Epochs of each module, and then of the joint network."""
    batch_size: BatchSize = 128
    learning_rate: Rate = 0.003
    """Adam's, at its peak after a fifth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    from sklearn.metrics import roc_auc_score

    from recipes.lab import runs, tasks
    from recipes.lab.data.synthetic import methylation

    with runs.open_run(config, DATASET) as run:
        task, test = tasks.Classification(run.data), run.data.test
        trained, histories, answers = [], [], {}
        for modules in (("dna",), ("cpg",), MODULES):
            owner = "" if modules == MODULES else f"{modules[0]}_"
            model, history = _fit(run, modules, trained)
            trained.append(model)
            histories.insert(0, history)  # the joint network's is drawn
            answer = task.answer(model, _only(test, modules))
            answers[owner] = answer[:, 1]
        scores = task.score_answers(answer, test)

        # Beside them what is best, given what each of them knows.
        signals = {
            **answers,
            "best_possible_": methylation.probability(test.inputs),
        }
        for known in MODULES:
            best = methylation.probability(test.inputs, (known,))
            signals[f"best_possible_{known}_"] = best
        for owner, signal in signals.items():
            area = roc_auc_score(test.targets, signal)
            scores.metrics[f"{owner}{AUC.name}"] = float(area)

        found = _motifs(model, test)
        share, *_ = found[0] if found else (0.0,)
        scores.metrics[MOTIF_SHARE.name] = share
        return run.finish(
            *(task, model, scores, *histories),
            sections=[_curves(answers, scores), _logos(found)],
        )


def _only(split, modules):
    """Return a split with the inputs of some modules."""
    from dataclasses import replace

    inputs = {name: split.inputs[name] for name in modules}
    return replace(split, inputs=inputs)


def _fit(run, modules, trained):
    """Train a network of some modules, from where they have been trained.

    Returns:
        The network and its history.
    """
    import keras

    from recipes.lab import training

    data, config = run.data, run.config
    with run.scope():
        model = training.create_model(
            data,
            "deepcpg",
            modules=modules,
            filters=config.filters,
            cpg_units=config.cpg_units,
            **data.inputs.sizes,
            **SMALL,
        )
        if modules == MODULES:
            for module in trained:
                for layer in module.layers[:-1]:  # all but its answer
                    twin = model.get_layer(layer.name)
                    twin.set_weights(layer.get_weights())
        rate = training.one_cycle(
            config.learning_rate, training.steps(run), warmup=0.2
        )
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss="binary_crossentropy",
            metrics=["accuracy"],
        )
    is_joint = modules == MODULES
    history = training.fit(
        *(run, model, _only(data.train, modules)),
        validation=_only(data.validation, modules),
        phase="train" if is_joint else modules[0],
        quiet=not is_joint,
    )
    return model, history


def _motifs(model, split):
    """Return what filters of the first layer look for in DNA.

    A filter answers most where it says more than half of the most that it says
    anywhere.

    Returns:
        A list, the best first: of these places the share with the motif, the
        number of the filter, how many places these are, and how often each base
        is at each place that it sees, `(width, 4)`.
    """
    from dataclasses import replace

    import keras
    import numpy as np

    from recipes.lab import tasks
    from recipes.lab.data.synthetic import methylation

    layer, dna = model.get_layer("conv1"), split.inputs["dna"]
    network = keras.Model(model.input["dna"], layer.output)
    answers = tasks.features_of(network, replace(split, inputs=dna)).inputs

    [width] = layer.kernel_size
    windows = np.lib.stride_tricks.sliding_window_view(dna, width, axis=1)
    starts = np.lib.stride_tricks.sliding_window_view(
        *(methylation.motif_starts(dna), width - len(methylation.MOTIF) + 1),
        axis=1,
    )
    has_motif = starts.any(axis=2)
    found = []
    for number in range(answers.shape[-1]):
        answer = answers[..., number]
        chosen = answer > max(answer.max() / 2, 0)
        places = int(chosen.sum())
        if places >= FEWEST:
            share = float(has_motif[chosen].mean())
            shares = np.eye(4)[windows[chosen]].mean(axis=0)
            found.append((share, number, places, shares))
    return sorted(found, key=lambda of_filter: of_filter[:2], reverse=True)


def _curves(answers, scores):
    """Return the report's section on what each module knows."""
    import numpy as np
    from sklearn.metrics import roc_curve

    from recipes.lab.report import comparisons, page

    names = {"dna_": "DNA module", "cpg_": "CpG module", "": "both"}
    lines, rows = {}, []
    for owner, name in names.items():
        taken, found, _ = roc_curve(scores.split.targets, answers[owner])
        at = np.linspace(0, 1, 51)
        found = 100 * np.interp(at, taken, found)
        points = zip((100 * at).tolist(), found.tolist(), strict=True)
        lines[name] = {x: [y] for x, y in points}
        areas = (f"{owner}{AUC.name}", f"best_possible_{owner}{AUC.name}")
        rows.append((name, *(AUC.write(scores.metrics[a]) for a in areas)))
    panel = comparisons.Panel(
        lines,
        x_label="other sites taken for methylated in %",
        y_label="methylated sites found in %",
    )
    caption = (
        "The further up a line goes on the left, the better. The area under it "
        "is the share of pairs of a methylated site and another of which the "
        "network prefers the methylated one. Beside it is that of the true "
        "probability, given as much of the sites: over many sites nothing is "
        "better, over these chance decides about the third digit."
    )
    return lambda plots: comparisons.panels_section(
        *(plots, "modules"),
        heading="The letters, the neighbors, and both",
        caption=caption,
        panels=(panel,),
        html=page.table(rows, ("", AUC.words, "Best possible")),
    )


def _logos(found):
    """Return the report's section on what filters of DNA look for."""
    from recipes.lab.data.synthetic import methylation
    from recipes.lab.report import logos

    pictures = {"planted": methylation.motif()}
    for share, number, places, shares in found[:SHOWN]:
        title = f"filter {number}: {share:.0%} of {places:,}"
        pictures[title] = shares
    caption = (
        "What was planted, and the letters of the test sites where a filter of "
        "the first layer answers most: more than half of the most that it says "
        "anywhere. The titles say how many such places there are, and at which "
        f"share of them the motif is. Of {len(found)} filters that answer at "
        f"{FEWEST} places or more, those with the largest shares are shown."
    )
    return lambda plots: logos.logos_section(
        *(plots, "motifs"),
        heading="The motif, as the first layer has found it",
        caption=caption,
        logos=pictures,
    )


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
