"""What a run says at its end: the result, what to expect, what to do next."""

import re
import shlex
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

from recipes.lab import results, terminal
from recipes.lab.flags import ONCE
from recipes.lab.metrics import named, remark_on_losses
from recipes.lab.settings import flags_of

WIDTH = 80  # of a terminal


def summary(run, metrics: dict[str, float], export: Path) -> str:
    """Return the last lines of a run.

    Args:
        run: The `Run`.
        metrics: Metric name to value.
        export: The version folder that was exported.
    """
    remarks = {}
    if row := published(run):
        seeds = "one seed" if row["seeds"] == "1" else f"{row['seeds']} seeds"
        values = results.describe_values(row)
        remarks[row["metric"]] = f"published: {values} over {seeds}"
    rows = []
    for name, value in metrics.items():
        if name.startswith("train_"):
            continue
        metric = named(name)
        said = (remarks.get(name), remark_on_losses(run, metric))
        rows.append(
            (metric.words, metric.write(value), "; ".join(filter(None, said)))
        )
    lines = ["", *_in_columns(rows)]
    report = run.folder / "report.html"
    if report.exists():
        lines.append(f"report  {terminal.link(report)}")
    lines.append(f'model   zoo.load_model("{export}")')
    if command := _next(run):
        lines.append(f"next    {command}")
    return "\n".join(lines)


def published(run) -> dict[str, str] | None:
    """Return the row of `results.csv` that a run is to be compared with."""
    if run.data.is_sample or not results.is_ours(run.config):
        return None
    return results.of(run.config, run.data.name)


def _in_columns(rows) -> list[str]:
    """Lay rows of name, value and remark out; remarks are wrapped."""
    names, values, _ = zip(*rows, strict=True)
    first, second = (max(map(len, column)) for column in (names, values))
    lines = []
    for name, value, remark in rows:
        start = f"{name:<{first}}  {value:<{second}}  "
        lines += textwrap.wrap(
            remark,
            WIDTH,
            initial_indent=start,
            subsequent_indent=" " * len(start),
            break_long_words=False,
        ) or [start]
    return [line.rstrip() for line in lines]


def _next(run) -> str | None:
    """Return what may be worth a try now, ready to be typed."""
    python = terminal.python()
    if run.data.is_sample and not run.options.dry_run:
        return f"{python} scripts/prepare_data.py  # gets the real data"
    if not results.is_ours(run.config):
        return None
    if run.options.dry_run:
        whole = shlex.join([f"recipes.{run.recipe}", *_flags_of_whole(run)])
        return f"{python} -m {whole}  # the whole training"
    commands = _commands(run.config)
    for command, following in zip(commands, commands[1:], strict=False):
        if results.asks_for(command, run.config):
            return following.replace("python", python, 1)
    return f"{python} -m recipes  # lists the recipes"


def _flags_of_whole(run) -> list[str]:
    """Return the flags of the training that a dry run has tried.

    Those of how often are the usual ones: a dry run has changed them.
    """
    usual = type(run.config)()
    once = {name: getattr(usual, name) for name in ONCE if hasattr(usual, name)}
    options = replace(run.config.run, dry_run=False, dataset=None)
    flags = flags_of(replace(run.config, run=options, **once))
    if run.options.dataset:
        flags += ["--dataset", run.options.dataset]
    return flags


def _commands(config) -> list[str]:
    """Return the commands that the docstring of a recipe shows."""
    module = sys.modules[type(config).__module__]
    text = module.__doc__ or ""
    return re.findall(r"^    (python -m recipes\.\S.*)$", text, re.MULTILINE)
