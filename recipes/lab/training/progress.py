"""How far a training has come: in memory, on the screen and on the disk.

At the end of every epoch all variables (weights, optimizers, the seeds of
random layers), the history and the state of early stopping go into one file.
Whatever trains from epoch to epoch can be killed at any moment, and resumes
from there.
"""

import csv
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from recipes.lab import files, terminal
from recipes.lab.errors import RecipeError, UsageError
from recipes.lab.files import SCHEMA
from recipes.lab.settings import difference
from recipes.lab.training import distributed
from recipes.lab.training.checkpoints import (
    KEPT_CHECKPOINTS,
    misfit_of,
    open_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

# What EarlyStopping and ReduceLROnPlateau learn while training. Nothing else of
# them is restored: they flip the sign of min_delta when they begin.
CALLBACK_STATE = (
    "best",
    "best_epoch",
    "best_weights",
    "cooldown_counter",
    "stopped_epoch",
    "wait",
)


def training_state(model: keras.Model) -> list:
    """Return all variables that a training of a compiled model moves.

    They are the model's own, the seeds of random layers included, and those of
    every optimizer that the model or a layer of it holds as an attribute, or in
    a list or a dictionary. Keras tracks only the one that `compile` was given.

    Raises:
        ValueError: If an optimizer has not made its variables yet: what it
            makes later would be in no checkpoint.
    """
    variables = list(model.variables)
    for name, optimizer in optimizers_of(model).items():
        if not optimizer.built:
            raise ValueError(
                f"{model.name} holds an optimizer, {name}, whose state would "
                "not be saved: it has no variables yet. Where the model is "
                "compiled, call its build(...) with the variables that it is "
                "to move."
            )
        variables += optimizer.variables
    return variables


def optimizers_of(model: keras.Model) -> dict[str, keras.Optimizer]:
    """Return the optimizers of a model and its layers, by where they are."""
    found = {}

    def look(name, value):
        if isinstance(value, keras.Optimizer):
            if not any(value is known for known in found.values()):
                found[name] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                look(f"{name}[{key!r}]", item)
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                look(f"{name}[{i}]", item)

    for layer in model._flatten_layers():
        for attribute, value in vars(layer).items():
            look(f"{layer.name}.{attribute}", value)
    return found


def tensorboard_folder(run, phase: str) -> Path:
    """Return where a phase of a run is logged for TensorBoard."""
    folder = run.folder / "tensorboard"
    return folder if phase == "train" else folder / phase


class Progress:
    """The epochs of one training, those before it was cut off included.

    A loop of one's own:

        progress = Progress(run, model.variables)
        for epoch in progress:
            ...
            progress.end_epoch({"loss": loss})

    A checkpoint is `checkpoints/<phase>/<epoch>-<sum>.npz`: written for
    complete, finite epochs only, by temporary file and rename, with the first
    half of its SHA-256 in the name. Two are kept, so a damaged one costs an
    epoch; one of a quiet training that has ended.

    Attributes:
        epoch: Number of complete epochs.
        before: Number of epochs of the runs that this one continues.
        stopped: Whether early stopping has ended the training.
        history: Metric name to one value an epoch; `seconds` and `cpu_seconds`
            of each epoch are among them.
        quiet: Whether it says only one line, at the end.
        has_bar: Whether a bar is shown, so that epochs need no lines.
        folder: Where the checkpoints are.
    """

    def __init__(
        self,
        run,
        variables: Sequence,
        *,
        phase: str = "train",
        epochs: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        quiet: bool = False,
        has_bar: bool = False,
        for_tensorboard: bool = True,
    ):
        """Restore what the newest good checkpoint has kept, if there is one.

        Args:
            run: The open run.
            variables: The variables that training moves.
            phase: Name of this training, for recipes with several.
            epochs: Number of epochs; None for the Config's.
            callbacks: Keras callbacks, whose state is kept, too.
            quiet: Say one line at the end, for recipes with many.
            has_bar: Whether who trains shows a bar where a terminal can; else
                every epoch is a line there, too.
            for_tensorboard: Whether to log for TensorBoard, if the run is to;
                Keras' `fit` does so itself.

        Raises:
            RecipeError: If a checkpoint is of another run or model, or the
                workers see different ones.
            UsageError: If the run that is to be continued is of another model.
        """
        self.run = run
        self.variables = list(variables)
        self.phase = phase
        self.epochs = epochs or run.config.epochs
        self.quiet = quiet or not run.devices.is_chief
        self.has_bar = has_bar and terminal.shows_bars()
        self.folder = run.folder / "checkpoints" / phase
        self.epoch = self.before = 0
        self.stopped = False
        self.history = {}
        self._for_tensorboard = (
            for_tensorboard and run.options.tensorboard and run.devices.is_chief
        )
        self._writers = {}
        self._callbacks = [c for c in callbacks if hasattr(c, "wait")]
        self._states_of_callbacks = []
        if run.devices.is_chief:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._at_start = {}
        if run.continued:
            self._continue(*run.continued)
        self._restore()
        run.trainings[phase] = self
        if len(set(run.devices.gather(self.epoch))) > 1:
            raise RecipeError(
                f"The workers see different checkpoints in {self.folder}: "
                "--output-dir must be a folder that all of them share."
            )
        self.begin()

    def __iter__(self) -> Iterator[int]:
        """Yield the number of each epoch that is still to be trained.

        Those of the runs that this one continues are counted.
        """
        self.begin()
        while self.epoch < self.epochs and not self.stopped:
            epoch = self.epoch
            yield self.before + epoch
            if self.epoch != epoch + 1:
                raise RuntimeError("An epoch ends with progress.end_epoch().")

    def begin(self) -> None:
        """Start the clock of the next epoch."""
        self._marks = time.perf_counter(), time.process_time()

    def at_start(self, variable):
        """Return what a variable was in the run that this one continues.

        None if it continues none.
        """
        return self._at_start.get(id(variable))

    def remind_callbacks(self) -> None:
        """Give the callbacks the state that was restored."""
        for callback, state in zip(
            self._callbacks, self._states_of_callbacks, strict=False
        ):
            vars(callback).update(state)

    def end_epoch(self, logs: dict[str, float], stopped: bool = False) -> None:
        """Write an epoch down: history, checkpoint, and a line for people.

        Args:
            logs: Metric name to value.
            stopped: Whether this was the last, whatever the number of epochs.

        Raises:
            RecipeError: If a metric or a variable became NaN or infinite, or a
                variable has different values on the replicas.
        """
        marks = time.perf_counter(), time.process_time()
        seconds, cpu_seconds = np.subtract(marks, self._marks)
        self._marks = marks
        logs = {name: float(value) for name, value in logs.items()}
        self._refuse_nan(logs)
        self._refuse_drift()
        times = {"seconds": float(seconds), "cpu_seconds": float(cpu_seconds)}
        for name, value in (logs | times).items():
            self.history.setdefault(name, []).append(value)
        self.stopped = stopped
        self._save(self.epoch + 1)
        if self._for_tensorboard:
            self._log(logs)
        self.epoch += 1
        self._write_history()
        self._say(logs, seconds)

    def _log(self, logs):
        """Log an epoch for TensorBoard, where and as Keras' `fit` does."""
        parts = {"train": {}, "validation": {}}
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            parts[part][f"epoch_{name.removeprefix('val_')}"] = value
        home = tensorboard_folder(self.run, self.phase)
        for part, values in parts.items():
            if not values:
                continue
            if part not in self._writers:
                writer = tf.summary.create_file_writer(str(home / part))
                self._writers[part] = writer
            with self._writers[part].as_default():
                for name, value in values.items():
                    tf.summary.scalar(name, value, self.epoch)
            self._writers[part].flush()

    def _say(self, logs, seconds):
        values = "  ".join(f"{k} {v:.4g}" for k, v in logs.items())
        if self.quiet:
            is_last = self.stopped or self.epoch == self.epochs
            if is_last and self.run.devices.is_chief:
                seconds = sum(self.history["seconds"])
                print(f"{self.phase}  {values}  {seconds:.1f} s", flush=True)
        elif not self.has_bar:
            phase = "" if self.phase == "train" else f"{self.phase}: "
            print(
                f"{phase}epoch {self.epoch}/{self.epochs}  {values}  "
                f"{seconds:.1f} s",
                flush=True,
            )

    def _continue(self, checkpoint, epochs):
        """Take the variables of the last checkpoint of a finished run."""
        folder = checkpoint.parents[2]
        if self.phase != checkpoint.parent.name:
            raise UsageError(
                f"--continue-from {folder} trains one network longer, and this "
                f"command trains others, too: {self.phase}. Leave those out."
            )
        content = open_checkpoint(checkpoint)
        if content is None:
            raise RecipeError(
                f"--continue-from {folder}: {checkpoint.name} is damaged."
            )
        arrays, meta = content
        if misfit := misfit_of(arrays, self.variables):
            there, here = meta["settings"], self.run.settings
            raise UsageError(
                f"--continue-from {folder} has trained another model: {misfit}."
                " Give the flags that it was trained with: "
                f"{difference(there, here, ('continued', 'epochs'))}."
            )
        with self.run.devices.scope():
            for i, variable in enumerate(self.variables):
                variable.assign(arrays[f"v{i}"])
                self._at_start[id(variable)] = arrays[f"v{i}"]
        self.before = epochs

    def _restore(self):
        for path in sorted(self.folder.glob("*.npz"), reverse=True):
            state = read_checkpoint(path, self.variables, self.run.settings)
            if state is None:
                print(
                    f"{path} is damaged; going back to the one before it",
                    file=sys.stderr,
                )
                continue
            values, meta, states_of_callbacks = state
            with self.run.devices.scope():
                for variable, value in zip(self.variables, values, strict=True):
                    variable.assign(value)
            self.epoch, self.stopped = meta["epoch"], meta["stopped"]
            self.history = meta["history"]
            self._states_of_callbacks = states_of_callbacks
            self._write_history()  # it may be an epoch behind or ahead
            if not self.quiet:
                print(
                    f"{self.phase}: resuming after epoch {self.epoch} of "
                    f"{self.epochs}"
                )
            break

    def _save(self, epoch):
        if not self.run.devices.is_chief:
            return
        arrays = {f"v{i}": v.numpy() for i, v in enumerate(self.variables)}
        others = []
        for i, callback in enumerate(self._callbacks):
            state = {}
            for name in CALLBACK_STATE:
                value = getattr(callback, name, None)
                if name == "best_weights" and value is not None:
                    arrays |= {f"b{i}_{j}": w for j, w in enumerate(value)}
                    value = len(value)
                state[name] = value
            others.append(state)
        meta = {
            "schema": SCHEMA,
            "settings": self.run.settings,
            "epoch": epoch,
            "stopped": self.stopped,
            "history": self.history,
            "others": others,
        }
        arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        # Of each of many trainings that have ended, the last is enough.
        is_last = self.stopped or epoch == self.epochs
        kept = 1 if self.quiet and is_last else KEPT_CHECKPOINTS
        write_checkpoint(self.folder, epoch, arrays, kept)

    def _refuse_nan(self, logs):
        bad = [name for name, value in logs.items() if not np.isfinite(value)]
        # Fused operations may turn a NaN weight into a finite loss.
        bad += [
            variable.path
            for variable in self.variables
            if not np.all(np.isfinite(variable.numpy()))
        ]
        if bad:
            ways = "--precision float32"
            if hasattr(self.run.config, "learning_rate"):
                ways = f"a smaller --learning-rate, or {ways}"
            raise RecipeError(
                f"Training diverged in epoch {self.epoch + 1}: {bad[0]} is NaN "
                f"or infinite. Nothing was exported. Try {ways}."
            )

    def _refuse_drift(self):
        apart = distributed.differing(self.variables, self.run.devices)
        if apart:
            raise RecipeError(
                f"The replicas' copies of {apart[0].path} differ after epoch "
                f"{self.epoch + 1}. Nothing was exported. A variable that is "
                'moved by assign() must be made with aggregation="mean"; or '
                "train with --strategy none."
            )

    def _write_history(self):
        if not self.run.devices.is_chief:
            return
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["schema", "epoch", *self.history])
        columns = list(self.history.values())
        for i, row in enumerate(zip(*columns, strict=True), start=1):
            writer.writerow([SCHEMA, i, *row])
        name = "history" if self.phase == "train" else f"history-{self.phase}"
        files.write_atomically(
            self.run.folder / f"{name}.csv", buffer.getvalue()
        )
