"""The report of a run: what its task says, the curves, the facts."""

import functools
from pathlib import Path

from recipes.lab import files
from recipes.lab.metrics import named, remark_on_losses
from recipes.lab.report import generated, page
from recipes.lab.training.watching import watched_pictures


def write_report(run, task, model, scores, history: dict, sections=()) -> Path:
    """Write `report.html` and its figures into the run's folder.

    Args:
        run: The open run.
        task: What the model does.
        model: The trained model.
        scores: The task's scores of it, and all other metrics.
        history: Metric name to one value an epoch. Metrics with a `val_`
            partner are drawn.
        sections: Further sections, after the curves: functions of `plots/`.

    Returns:
        The path of the report.

    Raises:
        OSError: If the folder cannot be written.
    """
    plots = run.folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    parts = task.report(model, scores, plots)
    if run.options.explain:
        more = _explanations(run, task, model, scores, plots)
        parts = parts._replace(after=[*parts.after, *more])
    facts = dict(parts.facts)
    if task.loss is not None:
        metric, fact = task.loss
        if remark := remark_on_losses(run, metric):
            facts[fact] += f"; {remark}"
    facts |= _facts(run, task.data, model, history, scores.metrics)
    sections = [*_watched(run), *sections]
    return compose(
        *(run.folder, run.title, _notice(run, task.data)),
        *(parts._replace(facts=facts), history, sections),
    )


def compose(
    folder: Path, title: str, notice: str, parts, history: dict, sections=()
) -> Path:
    """Put a report together and write it; see `write_report`.

    Args:
        folder: The run's folder.
        title: What was trained, for example "mnist_cnn, run 3".
        notice: What is to be known before anything else, "" if nothing is.
        parts: What the task says of the model, a `Parts` with all facts.
        history: Metric name to one value an epoch.
        sections: Further sections, after the curves: functions of `plots/`.
    """
    plots = folder / "plots"
    content = [
        page.facts_section(parts.facts),
        *parts.before,
        *page.curves_sections(plots, history),
        *(section(plots) for section in sections),
        *parts.after,
    ]
    report = folder / "report.html"
    html = page.page(title, parts.headline, content, notice)
    files.write_atomically(report, html)
    return report


def _watched(run) -> list:
    """Return the sections with what was drawn while the phases trained."""
    drawn = {phase: watched_pictures(run, phase) for phase in run.trainings}
    return [
        functools.partial(
            generated.watched_section, phase=phase, pictures=pictures
        )
        for phase, pictures in drawn.items()
        if pictures
    ]


def _explanations(run, task, model, scores, plots: Path) -> list:
    """Return the sections that `--explain` asks for, or why there are none."""
    if explain := getattr(task, "explain", None):
        return explain(model, scores, plots, seed=run.options.seed)
    caption = (
        "<code>--explain</code> asks what speaks for a class, and this model "
        "answers with none."
    )
    return [("What the answers come from", caption, "")]


def _notice(run, data) -> str:
    """Return what is to be said first of a run that is no result."""
    if not run.is_demonstration:
        return ""
    if not data.is_sample:
        return "A demonstration, not a result: a dry run."
    return (
        "A demonstration, not a result: trained on "
        f"{len(data.train):,} {data.inputs.plural} of a small sample "
        f"({data.source}), tested on {len(data.test):,}."
    )


def _facts(run, data, model, history, metrics: dict) -> dict[str, str]:
    """Return the rows that every table of facts ends with."""
    record = run.record(model, metrics)
    environment = record["environment"]
    versions, epochs = environment["versions"], len(history["seconds"])
    continued = record["settings"].get("continued")
    return {
        **{
            named(name).words: named(name).write(value)
            for name, value in metrics.items()
            if not name.startswith(("test_", "train_", "real_test_"))
        },
        "Model": f"{model.name}, {record['params']:,} parameters",
        "Data": data.describe(),
        "Training": f"{epochs} epoch{'s' * (epochs != 1)}, "
        f"{metrics['train_seconds']:.1f} s "
        f"({metrics['train_cpu_seconds']:.1f} CPU seconds)",
        **(
            {"Continues": f"{continued['run']}, {continued['epochs']} epochs"}
            if continued
            else {}
        ),
        "Devices": run.devices.description,
        "Machine": environment["hardware"],
        "Versions": ", ".join(f"{k} {v}" for k, v in versions.items()),
        "Command": record["command"],
        "Commit": record["commit"] or "unknown",
        "Date": record["date"],
    }
