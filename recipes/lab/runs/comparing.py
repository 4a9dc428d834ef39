"""Runs side by side on one page: their results, curves and settings."""

import csv
import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from recipes.lab import files, results
from recipes.lab.errors import UsageError
from recipes.lab.metrics import in_order, named
from recipes.lab.report import page
from recipes.lab.report.comparisons import (
    Panel,
    by_epoch,
    panels_section,
    write_spread,
)
from recipes.lab.runs.folder import settings_of
from recipes.lab.settings import UNSAID, said

HOME = Path("runs")
LONGEST = 40  # letters of a name that says what was set
WIDEST = 7  # columns that fit on the page
# What is a matter of luck or of speed makes no run another one.
_SAME = ("seed", "deterministic", "device", "cpu_devices", "strategy")


@dataclass(frozen=True)
class Finished:
    """What is left of a run.

    Attributes:
        folder: The run's folder.
        record: What is in its `metrics.json`.
        history: Metric name to one value an epoch, of the main training, or of
            the longest one if that was a solution; empty if nothing went from
            epoch to epoch.
    """

    folder: Path
    record: dict
    history: dict[str, list[float]]

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.record["recipe"]

    @property
    def data(self) -> str:
        """Name of the data."""
        return self.record["dataset"]

    @property
    def settings(self) -> dict:
        """What flags and data say, but for luck and speed."""
        settings = said(self.record["settings"])
        return {k: v for k, v in settings.items() if k not in _SAME}

    @property
    def is_demonstration(self) -> bool:
        """Whether it trained on a sample, or for one epoch of a dry run."""
        sample = self.folder.resolve().parent.name.endswith("-sample")
        return sample or self.record["settings"]["dry_run"]

    @property
    def epochs_before(self) -> int:
        """Epochs of the run that this one continues."""
        return self.settings.get("continued", {}).get("epochs", 0)

    @property
    def unsaid(self) -> tuple:
        """What else makes it another training: the code, what it loaded."""
        settings = self.record["settings"]
        return tuple(settings.get(name) for name in UNSAID)


def compare(names: Sequence[str], output: Path) -> Path:
    """Write a page that compares finished runs.

    Those that differ in their seeds alone are one line there, with its spread.

    Args:
        names: Folders of runs, or of a recipe's runs, which stands for all
            that are finished; as paths, or below `runs/`.
        output: Where the page goes.

    Returns:
        The path of the page.

    Raises:
        UsageError: If a name is no finished run, or there are less than two.
        OSError: If a run cannot be read, or the page not be written.
    """
    runs = {run.folder.resolve(): run for name in names for run in _find(name)}
    if len(runs) < 2:
        raise UsageError(
            "There is only one run; two or more can be compared. Give the "
            "folders of others, too."
        )
    groups = _grouped([*runs.values()])
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as plots:
        sections = [
            _results_section(groups),
            *_curves_sections(Path(plots), groups),
            _settings_section(groups),
            _runs_section(groups),
        ]
    recipes = [*dict.fromkeys(run.recipe for run in runs.values())]
    title = f"{len(runs)} runs of {_listed(recipes)}"
    notice = ""
    if any(run.is_demonstration for run in runs.values()):
        notice = (
            "A demonstration, not a result: there are dry runs, or runs on a "
            "small sample, among these."
        )
    files.write_atomically(
        output, page.page(title, _headline(groups), sections, notice)
    )
    return output


def _listed(names: Sequence[str]) -> str:
    """Return names as people list them."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


# --- finding the runs -----------------------------------------------------


def _find(name: str) -> list[Finished]:
    """Return the run of a name, or the finished ones of a recipe."""
    for folder in (Path(name), HOME / name):
        if folder.is_dir():
            break
    else:
        there = sorted(HOME.glob("*/*/metrics.json"))
        known = ", ".join(str(p.parent.relative_to(HOME)) for p in there)
        raise UsageError(
            f"{name}: there is no such run. Finished ones in {HOME}: "
            f"{known or 'none'}."
        )
    if (folder / "metrics.json").exists():
        return [_read(folder)]
    if settings_of(folder) is not None:
        raise UsageError(
            f"{folder} is not finished. Run its own command again to resume it."
        )
    finished = sorted(folder.glob("*/metrics.json"), key=_in_order)
    if not finished:
        raise UsageError(f"{folder} is no run, and none is in it.")
    return [_read(path.parent) for path in finished]


def _in_order(path: Path) -> tuple:
    name = path.parent.name
    return (0, int(name)) if name.isdecimal() else (1, name)


def _read(folder: Path) -> Finished:
    """Read what is left of a run."""
    try:
        record = json.loads((folder / "metrics.json").read_bytes())
        run = Finished(folder, record, _read_history(folder))
        record["metrics"]["train_seconds"], run.recipe, run.settings
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{folder}: what it recorded is damaged.") from error
    return run


def _read_history(folder: Path) -> dict[str, list[float]]:
    """Return the history of a run's main training."""
    rows = []
    for path in (
        folder / "history.csv",
        *sorted(folder.glob("history-*.csv")),
    ):
        if path.exists() and len(rows) < 2:
            with open(path, newline="") as file:
                rows = max(rows, [*csv.DictReader(file)], key=len)
    return {
        name: [float(row[name]) for row in rows]
        for name in (rows[0] if rows else ())
        if name not in ("schema", "epoch")
    }


def _grouped(runs: list[Finished]) -> dict[str, list[Finished]]:
    """Put runs together that differ in their seeds alone; name each group."""
    groups = []
    for run in runs:
        for group in groups:
            if _alike(group[0], run):
                group.append(run)
                break
        else:
            groups.append([run])
    return dict(zip(_names(groups), groups, strict=True))


def _alike(run: Finished, other: Finished) -> bool:
    """Whether two runs are one training with other luck."""
    return (run.recipe, run.settings, run.unsaid) == (
        *(other.recipe, other.settings, other.unsaid),
    )


def _names(groups: list[list[Finished]]) -> list[str]:
    """Say what is different about each group, or which run it begins with."""
    first = [group[0] for group in groups]
    by_recipe = {
        recipe: _differing([run for run in first if run.recipe == recipe])
        for recipe in {run.recipe for run in first}
    }
    names = []
    for run in first:
        parts = [run.recipe] if len(by_recipe) > 1 else []
        parts += [
            _part(name, run.settings.get(name))
            for name in by_recipe[run.recipe]
            if name != "data_checksum"  # which tells nobody anything
        ]
        names.append(", ".join(parts))
    if len({*names}) < len(names) or max(map(len, names)) > LONGEST:
        names = [_by_folder(group) for group in groups]
    if len({*names}) < len(names):
        names = [_listed([str(run.folder) for run in g]) for g in groups]
    return names


def _part(name: str, value) -> str:
    """Return a setting as a part of a name."""
    if name == "continued" and value is None:
        return "from the beginning"
    return f"{name.replace('_', ' ')} {_write(value)}"


def _by_folder(group: list[Finished]) -> str:
    """Name runs of one training by their folders, the first at least."""
    first, *others = (f"{r.folder.parent.name}/{r.folder.name}" for r in group)
    return f"{first} and {len(others)} more" if others else first


def _differing(runs: list[Finished]) -> list[str]:
    """Return the names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [
        name
        for name in names
        if any(
            run.settings.get(name) != runs[0].settings.get(name) for run in runs
        )
    ]


def _write(value) -> str:
    """Return a setting for people."""
    if isinstance(value, list):
        return " ".join(map(_write, value))
    if isinstance(value, dict) and "run" in value:  # that it continues
        return f"{value['run']} after {value['epochs']} epochs"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


# --- what the page says ---------------------------------------------------


def _metrics(groups) -> list[str]:
    """Return what runs were measured by: first what each of them has."""
    runs = [run.record["metrics"] for group in groups.values() for run in group]
    names = dict.fromkeys(name for metrics in runs for name in metrics)
    ordered = in_order(n for n in names if not n.startswith("train_"))
    return sorted(ordered, key=lambda name: not all(name in m for m in runs))


def _values(group: list[Finished], name: str) -> list[float]:
    return [run.record["metrics"][name] for run in group]


def _has(group: list[Finished], name: str) -> bool:
    """Whether each run of a group was measured by a metric."""
    return all(name in run.record["metrics"] for run in group)


def _spread(group: list[Finished], name: str) -> str:
    """Return a metric of a group: the mean, and the deviation of seeds."""
    if not _has(group, name):
        return "–"
    return write_spread(named(name), _values(group, name))


def _headline(groups) -> str:
    """Return which training is best, by the first metric that all have."""
    shared = [
        name
        for name in _metrics(groups)
        if all(_has(group, name) for group in groups.values())
    ]
    if not shared:
        return "<p>These runs have no metric in common.</p>"
    recipes = {group[0].recipe for group in groups.values()}
    aims = {
        row["metric"]
        for row in results.of_plain_commands().values()
        if {row["recipe"]} == recipes
    }
    metric = named(min(shared, key=lambda name: name not in aims))
    means = {
        name: statistics.mean(_values(group, metric.name))
        for name, group in groups.items()
    }
    best = (max if metric.better == "max" else min)(means, key=means.get)
    value = _spread(groups[best], metric.name)
    about = f"{metric.words} of {best}, the best of {len(groups)}."
    if len(groups) == 1:
        about = f"{metric.words} over {len(groups[best])} seeds."
    return f'<p class="number">{escape(value)}</p>\n<p>{escape(about)}</p>'


def _results_section(groups):
    """Return the section with what all were measured by."""
    metrics = _metrics(groups)
    header = ["", *(named(name).words for name in metrics)]
    header += ["Training", "Parameters", "Seeds"]
    rows = []
    for name, group in groups.items():
        seconds = statistics.median(_values(group, "train_seconds"))
        rows.append(
            (
                *(name, *(_spread(group, metric) for metric in metrics)),
                f"{seconds:,.1f} s",
                f"{group[0].record['params']:,}",
                ", ".join(str(run.record["seed"]) for run in group),
            )
        )
    datasets = _listed([*dict.fromkeys(g[0].data for g in groups.values())])
    caption = f"On the test set of {escape(datasets)}"
    if all(len(group) == 1 for group in groups.values()):
        caption += ", one seed each: the next may turn out other."
    else:
        caption += "; ± is the standard deviation over seeds."
    if len(header) > max(WIDEST, 1 + len(rows)):  # it stands on its side
        header, *rows = zip(header, *rows, strict=True)
    return "Results", caption, page.table(rows, header)


def _curves_sections(plots: Path, groups):
    """Yield sections for what was watched on validation, first by time, too."""
    several = len(groups) > 1
    for i, (name, of, watched) in enumerate(_watched(groups)):
        after = {k: group[0].epochs_before for k, group in watched.items()}
        shown = {k: [r.history for r in group] for k, group in watched.items()}
        what = named(name).words
        if name.endswith("accuracy"):
            what = what.lower().replace("accuracy", "error") + " (%)"
            shown = {k: [*map(_errors, v)] for k, v in shown.items()}
        columns = {"training": name, "validation": f"val_{name}"}
        panels = [
            Panel(
                {
                    k: by_epoch(v, column, after=after[k])
                    for k, v in shown.items()
                    if column in v[0]
                },
                *("epoch", what),
                title=title,
                log_y=True,
            )
            for title, column in columns.items()
            if any(column in v[0] for v in shown.values())
        ]
        yield panels_section(
            *(plots, f"{i}-{name}"),
            heading=_heading(what) + of,
            caption="A training value is the mean over an epoch of learning; "
            "where a rule or a solution trains, it is measured after that. The "
            "model never learns from the validation data.",
            panels=panels,
            named=several,
        )
        if i > 0:
            continue
        yield panels_section(
            *(plots, f"{name}-by-time"),
            heading=_heading(what) + of + " by time",
            caption="The same in validation, by seconds of training. Of runs "
            "on different or busy machines it says little.",
            panels=[
                Panel(
                    {k: _by_time(v, f"val_{name}") for k, v in shown.items()},
                    *("seconds", what),
                    log_y=True,
                )
            ],
            named=several,
        )


def _watched(groups):
    """Yield metrics of validation, whose they are, and groups that have them.

    What a recipe calls its loss may be anything, so losses are compared within
    recipes.
    """
    histories = [group[0].history for group in groups.values()]
    names = dict.fromkeys(
        n.removeprefix("val_") for history in histories for n in history
    )
    several = len({group[0].recipe for group in groups.values()}) > 1
    for name in names:
        watched = {
            label: group
            for label, group in groups.items()
            if f"val_{name}" in group[0].history
        }
        if not (several and name.endswith("loss")):
            if watched:
                yield name, "", watched
            continue
        for recipe in dict.fromkeys(g[0].recipe for g in watched.values()):
            of_recipe = {
                label: group
                for label, group in watched.items()
                if group[0].recipe == recipe
            }
            yield name, f" of {recipe}", of_recipe


def _heading(what: str) -> str:
    what = what.removesuffix(" (%)")
    return what[0].upper() + what[1:]


def _errors(history: dict) -> dict:
    """Return a history with errors in percent instead of accuracies."""
    return {
        name: [100 * (1 - value) for value in values]
        if name.endswith("accuracy")
        else values
        for name, values in history.items()
    }


def _by_time(histories, name: str) -> dict[float, list[float]]:
    """Return a metric by the seconds until then, in the mean of seeds."""
    seconds = by_epoch(
        [{"s": [*itertools.accumulate(h["seconds"])]} for h in histories], "s"
    )
    values = by_epoch(histories, name)
    return {statistics.mean(seconds[epoch]): values[epoch] for epoch in seconds}


def _settings_section(groups):
    """Return the section with what was not set alike, a row for each."""
    runs = {name: group[0] for name, group in groups.items()}
    names = _differing([*runs.values()])
    rows = [
        (
            name.replace("_", " "),
            *(
                _write(run.settings[name]) if name in run.settings else ""
                for run in runs.values()
            ),
        )
        for name in names
    ]
    unsaid = {
        "code of commit": lambda run: run.record["commit"] or "unknown",
        "machine": lambda run: run.record["environment"]["hardware"],
        "tensorflow": lambda run: run.record["environment"]["versions"][
            "tensorflow"
        ],
    }
    for name, read in unsaid.items():
        values = [read(run) for run in runs.values()]
        if len({*values}) > 1:
            rows.append((name, *values))
    everything = [run for group in groups.values() for run in group]
    remark = ""
    if any(_devices(run) != _devices(everything[0]) for run in everything):
        remark = " Devices are not among them: they make no other training."
    if not rows:
        return "Settings", "All settings are the same." + remark, ""
    caption = f"All other settings are the same.{remark} An empty cell: it has "
    caption += "none."
    html = page.table(rows, ["", *runs])
    return "Settings that differ", caption, html


def _devices(run: Finished) -> list:
    """Return what a run was trained on."""
    return [run.record["settings"].get(n) for n in _SAME if n != "seed"]


def _runs_section(groups):
    """Return the section that says how to run each again."""
    rows = [
        (str(run.folder), run.record["date"], run.record["command"])
        for group in groups.values()
        for run in group
    ]
    caption = "Where each run is, and what starts it again."
    html = page.table(rows, ("", "Date", "Command"))
    return "Runs", caption, html
