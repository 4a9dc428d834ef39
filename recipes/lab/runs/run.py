"""One training, from its first epoch to its report."""

import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tensorflow as tf

import zoo
from recipes.lab import files, flags, terminal
from recipes.lab.data import own, sources, synthetic, tables
from recipes.lab.data.splits import Data, steps_per_epoch
from recipes.lab.errors import DataError, UsageError
from recipes.lab.export.exporting import export
from recipes.lab.files import SCHEMA, check_clock
from recipes.lab.inputs.images import Images
from recipes.lab.report import page
from recipes.lab.runs import continuing, identity, summary
from recipes.lab.runs.folder import (
    create_folder,
    export_name,
    has_trained,
    home_of_runs,
    is_empty,
    leave_nothing,
    name_what_is_lost,
    open_changed,
    open_named,
    open_newest_unfinished,
    settings_of,
    sum_of,
)
from recipes.lab.runs.record import (
    command,
    commit,
    environment,
    trainable_parameters,
)
from recipes.lab.runs.report import write_report
from recipes.lab.settings import (
    check_is_own,
    describe,
    describe_loaded,
    recipe_name,
    said,
)
from recipes.lab.tasks.scores import Scores
from recipes.lab.training import workers
from recipes.lab.training.devices import Devices, numerics, set_up
from recipes.lab.training.fitting import train_seconds


@dataclass(frozen=True)
class Run:
    """One training, from its first epoch to its report.

    Attributes:
        recipe: Name of the recipe.
        folder: `runs/<export_name>/<run>`.
        settings: What decides the result: the recipe's flags, the data, the
            code and what it loads.
        options: The run's options.
        data: The data set.
        devices: What the run computes on.
        changes: What is not as it was when the run began, in words.
        command: What starts it again: a command, or a call from Python.
        config: The recipe's Config.
        losses: What `loss` means in each phase of the training, in words.
        trainings: The `Progress` of each phase, in order.
        drawn: The phase whose curves the report draws.
        continued: The last checkpoint of the run that this one continues, and
            the number of epochs until then; None if it continues none.
    """

    recipe: str
    folder: Path
    settings: dict
    options: flags.RunOptions
    data: Data
    devices: Devices
    changes: tuple[str, ...] = ()
    command: str = ""
    config: object = None
    losses: dict[str, str] = field(default_factory=dict)
    trainings: dict = field(default_factory=dict)
    drawn: str = "train"
    continued: tuple[Path, int] | None = None

    @property
    def export_name(self) -> str:
        """Name under `runs/` and `saved_models/`; a sample's says so."""
        return export_name(self.recipe, self.options, self.data)

    @property
    def is_demonstration(self) -> bool:
        """Whether it trains on a sample, or for one epoch of a dry run."""
        return self.data.is_sample or self.options.dry_run

    @property
    def title(self) -> str:
        """What a report is headed by."""
        return f"{self.export_name}, run {self.folder.name}"

    def scope(self):
        """Return the context in which models and optimizers are made."""
        return self.devices.scope()

    def finish(
        self,
        task,
        model,
        scores: Scores,
        *histories: dict[str, list[float]],
        sections: Sequence[Callable] = (),
    ) -> dict[str, float]:
        """Export, report and record the result, and print it.

        The record also marks the run as finished.

        Args:
            task: What the model does, see `recipes.lab.tasks`.
            model: The trained model, without augmentation in front.
            scores: What the task made of the model and the test set.
            *histories: What `fit` returned: first the one to draw, then those
                whose time counts as well.
            sections: Further sections of the report: functions of the folder
                of figures, such as `recipes.lab.report.page.lines_section`.

        Returns:
            The metrics.
        """
        metrics = scores.metrics | train_seconds(*histories)
        told = self
        for phase, progress in self.trainings.items():
            if progress.history is histories[0]:
                told = replace(self, drawn=phase)

        def draw():
            print("drawing the report", flush=True)
            write_report(
                told,
                task,
                model,
                replace(scores, metrics=metrics),
                histories[0],
                sections,
            )

        version = export(self, task, model, metrics, meanwhile=draw)
        if not self.devices.is_chief:
            return metrics
        files.write_json(
            self.folder / "metrics.json",
            {**self.record(model, metrics), "export": str(version)},
        )
        terminal.say(summary.summary(told, metrics, version))
        page.show(self.folder / "report.html")
        return metrics

    def record(self, model, metrics: dict) -> dict:
        """Return what a number needs, for anyone to check it."""
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "dataset": self.data.name,
            "data_checksum": self.data.checksum,
            "model": model.name,
            "params": trainable_parameters(model),
            "settings": self.settings,
            "changes": list(self.changes),
            "seed": self.options.seed,
            "metrics": metrics,
            "command": self.command,
            "commit": commit(self.settings["source"]),
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
        }


def open_run(
    config, dataset: str | Data, *, loads: Iterable[str | None] = ()
) -> contextlib.AbstractContextManager[Run]:
    """Seed everything, choose the devices, load the data, open the folder.

    The folder is that of an unfinished run of these settings, or a new one.

    Args:
        config: The recipe's Config.
        dataset: Name or path of the data set, see `recipes.lab.data.own`, or
            the data set itself; `--dataset` takes its place.
        loads: Names of the exports, and files of weights, that the run starts
            from. Other names are passed over.

    Returns:
        A context that gives the `Run`; nobody else can open it meanwhile.

    Raises:
        UsageError: If the Config is of another recipe than the `train` that
            calls, the machine has no such devices, there is no such data
            set, or it has no images to explain, the run that was named has
            other settings, the one that is to be continued cannot be, or the
            code or what it loads is not what an unfinished run began with.
        DataError: If the data cannot be had.
        RecipeError: If the run that was named is in use, or the folder of
            runs or of exports cannot be written.
        OSError: If the folder of the run cannot be written.
    """
    caller = sys._getframe(1)
    check_is_own(config, caller)
    devices = set_up(config)
    if config.run.dataset == dataset:  # as without the flag
        options = replace(config.run, dataset=None)
        config = replace(config, run=options)
    data = _load(config.run, dataset)
    if config.run.explain and not isinstance(data.inputs, Images):
        raise UsageError(
            "--explain shows what a network looks at in images. "
            f"{data.name} has none."
        )
    source = identity.source(config, caller, data.is_own)
    if hasattr(config, "batch_size"):
        steps_per_epoch(data.train, config.batch_size)  # or refuse now
    return _open_run(config, data, devices, source, loads)


def _load(options, dataset: str | Data) -> Data:
    """Load the data of a recipe, or what is to take their place."""
    if options.dataset is None:
        if options.resize is not None:
            name = dataset.name if isinstance(dataset, Data) else dataset
            raise UsageError(
                "--resize is for pictures of your own, which --dataset names. "
                f"{name} is the recipe's own."
            )
        if isinstance(dataset, Data):
            return dataset
        if dataset in sources.NAMES:
            return sources.load(dataset, options)
        return own.load(dataset, options)  # of a copy of a recipe
    name = dataset.name if isinstance(dataset, Data) else dataset
    for other in (name, options.dataset):
        if other in sources.EMBEDDED or other in synthetic.SETS:
            reason = "has no test set, for it is cross-validated"
            if other in tables.TABLES:
                reason = "is a table"
            elif other in synthetic.SETS:
                reason = "is drawn by a program, for a recipe of its own"
            raise UsageError(
                "--dataset is for recipes of images to take other images. "
                f"{other} {reason}."
            )
    return own.load(options.dataset, options)


@contextlib.contextmanager
def _open_run(config, data, devices, source, loads):
    options = config.run
    recipe = recipe_name(config)
    settings = describe(config) | {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "replicas": devices.replicas,
        "source": source,
        "loaded": identity.loaded(loads),
    }
    continued = None
    if options.continue_from:
        continued, settings["continued"] = continuing.find(
            config, export_name(recipe, options, data), settings
        )
    started_by = command(config)
    with (
        numerics(options),
        terminal.without_retracing(),
        workers.named_if_lost(devices.cluster),
    ):
        _agree_on_settings(settings | {"run_name": options.run_name}, devices)
        if not devices.is_chief:
            # The chief writes; the others read its checkpoints.
            name = export_name(recipe, options, data)
            home = options.output_dir / "runs" / name
            number = devices.gather(0)[0]
            folder = home / (options.run_name or str(number))
            _agree_on_folder(folder, settings, devices)
            run = Run(
                *(recipe, folder, settings, options, data, devices),
                command=started_by,
                config=config,
                continued=continued,
            )
            with _saying_what_is_kept(run):
                yield run
            devices.gather(0)  # the chief has written everything
            return
        check_clock()
        home = home_of_runs(options, recipe, data)
        if options.run_name:
            folder, lock = open_named(
                home / options.run_name, settings, options.if_changed
            )
        else:
            name_what_is_lost(home)
            folder, lock = (
                open_newest_unfinished(
                    home, lambda f: settings_of(f) == settings
                )
                or open_changed(home, settings, options.if_changed)
                or open_newest_unfinished(home, is_empty)
                or create_folder(home)
            )
        with lock:
            changes = _begin(folder, settings, devices, data, started_by)
            devices.gather(0 if options.run_name else int(folder.name))
            _agree_on_folder(folder, settings, devices)
            run = Run(
                *(recipe, folder, settings, options, data, devices),
                *(tuple(changes), started_by),
                config=config,
                continued=continued,
            )
            try:
                with _saying_what_is_kept(run):
                    yield run
            except (UsageError, DataError):
                leave_nothing(folder, options.output_dir)
                raise
            # Who is lost by now had nothing left to do.
            with contextlib.suppress(tf.errors.OpError):
                devices.gather(0)


@contextlib.contextmanager
def _saying_what_is_kept(run: Run):
    """Tell who stops a run by hand how much of it is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        if run.trainings:
            *_, progress = run.trainings.values()
            print(
                f"\nstopped; {progress.epoch} of {progress.epochs} epochs are "
                f"kept in {progress.folder}",
                file=sys.stderr,
            )
        raise


def _begin(
    folder: Path, settings, devices: Devices, data: Data, started_by: str
) -> list[str]:
    """Write down what is run, and remove what a killed process left.

    Returns:
        What is not as it was when the run began.
    """
    for leftover in folder.rglob(".tmp-*"):
        leftover.unlink()
    now = environment()
    config = {
        "schema": SCHEMA,
        "version": zoo.__version__,
        "settings": settings,
        "sum": sum_of(settings),
        "versions": now["versions"],
        "changes": [],
    }
    present = settings_of(folder)
    if present == settings or (present is not None and has_trained(folder)):
        print(f"continuing {folder}")
        before = json.loads((folder / "config.json").read_text())
        changes = [
            *identity.changes(present, settings),
            *_other_versions(before.get("versions", {}), now["versions"]),
        ]
        for change in changes:
            print(f"not as it was then: {change}", file=sys.stderr)
        config["changes"] = before.get("changes", []) + changes
    else:
        print(f"run {folder}")
        changes = []
    if present != settings or changes:
        files.write_json(folder / "config.json", config)
    files.write_json(
        folder / "environment.json",
        {"schema": SCHEMA, "command": started_by}
        | {"commit": commit(settings["source"])}
        | now
        | {"devices": devices.description, "data": data.describe()},
    )
    return config["changes"]


def _other_versions(before: dict, now: dict) -> list[str]:
    """Return in words which packages have changed that compute."""
    return [
        f"{name} {before[name]} became {now[name]}"
        for name in ("tensorflow", "keras", "numpy")
        if before.get(name, now[name]) != now[name]
    ]


def _agree_on_settings(settings: dict, devices: Devices) -> None:
    """Refuse workers that would train different models."""

    def differ(value) -> bool:
        return len(set(devices.gather(int(sum_of(value)[:15], 16)))) > 1

    if not differ(settings):
        return
    asked = said(settings)
    if differ(asked):
        raise UsageError(
            "The workers were started with different settings or data; give "
            f"all of them the same flags. Those of this one: {asked}"
        )
    if differ(settings["loaded"]):
        loaded = describe_loaded(settings["loaded"])
        raise UsageError(
            "The workers would start from different models; give all of them "
            f"the same saved_models/. This one has {loaded or 'none'}."
        )
    source = settings["source"]
    if differ(sorted(source)):
        others = "what the recipe imports"
    else:
        others = ", ".join(f for f in sorted(source) if differ(source[f]))
    raise UsageError(
        "The workers run different code; give all of them the same files. "
        f"These differ: {others}."
    )


def _agree_on_folder(folder: Path, settings: dict, devices: Devices) -> None:
    """Refuse workers that do not all see the chief's folder."""
    if devices.cluster is None:
        return
    seen = devices.gather(int(settings_of(folder) == settings))
    blind = [number for number, sees in enumerate(seen) if not sees]
    if blind:
        raise UsageError(
            f"--output-dir must be a folder that all workers share: {folder} "
            f"of worker 0 is not seen by worker {', '.join(map(str, blind))}."
        )
