"""`model.fit` that can be killed at any moment, and resumes as if it had not.

At the end of every epoch all variables (weights, optimizer, the seeds of random
layers), the history and the state of early stopping go into one file. The data
of an epoch depend on seed and epoch alone. So a run that was killed ends with
the same bits as one that was not.
"""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from recipes.lab import files, terminal
from recipes.lab.data import splits
from recipes.lab.data.batches import training_batches, validation_batches
from recipes.lab.data.splits import Split
from recipes.lab.errors import RecipeError
from recipes.lab.files import SCHEMA
from recipes.lab.training import distributed
from recipes.lab.training.checkpoints import read_checkpoint, write_checkpoint

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


def fit(
    run,
    model: keras.Model,
    train: Split,
    *,
    validation: Split | None = None,
    augment: Callable | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    phase: str = "train",
    epochs: int | None = None,
    batch_size: int | None = None,
    quiet: bool = False,
) -> dict[str, list[float]]:
    """Train a compiled model, or finish the training that was cut off.

    Args:
        run: The open run.
        model: A compiled model; it is trained in place.
        train: Inputs and targets to fit.
        validation: Inputs and targets to watch after each epoch.
        augment: Function `(images, draw) -> images` on a training batch, see
            `recipes.lab.data.augmentation`.
        callbacks: Further Keras callbacks. `EarlyStopping` and
            `ReduceLROnPlateau` are resumed, too.
        phase: Name of this fit, for recipes with several.
        epochs: Number of epochs; None for the Config's.
        batch_size: Global batch size; None for the Config's.
        quiet: Say one line at the end, for recipes with many.

    Returns:
        The history: metric name to one value an epoch; `seconds` and
        `cpu_seconds` of each epoch are among them.

    Raises:
        RecipeError: If the loss or a variable became NaN or infinite.
        KeyboardInterrupt: After saying what is kept.
    """
    epochs = epochs or run.config.epochs
    batch_size = batch_size or run.config.batch_size
    steps = splits.steps_per_epoch(train, batch_size)
    distributed.prepare_model(model, run.devices)
    run.losses[phase] = _loss_in_words(model)
    recorder = _Recorder(run, phase, epochs, callbacks, quiet)
    done = recorder.restore(model)
    if len(set(run.devices.gather(done))) > 1:
        raise RecipeError(
            f"The workers see different checkpoints in {recorder.folder}: "
            "--output-dir must be a folder that all of them share."
        )
    shares = run.devices.shares
    batches = training_batches(
        train,
        batch_size,
        seed=run.options.seed,
        initial_epoch=done,
        augment=augment,
        shares=shares,
    )
    watched = {}
    if validation:
        validation_shares, validation_steps = validation_batches(
            validation, replicas=run.devices.replicas, shares=shares
        )
        watched = {
            "validation_data": run.devices.distribute(validation_shares),
            "validation_steps": validation_steps,
        }
    if run.options.tensorboard and run.devices.is_chief:
        callbacks = [*callbacks, _tensorboard(run, phase)]
    try:
        model.fit(
            run.devices.distribute(batches),
            steps_per_epoch=steps,
            initial_epoch=epochs if recorder.stopped else done,
            epochs=epochs,
            shuffle=False,  # the batches are shuffled already
            callbacks=[*callbacks, recorder],
            verbose=1 if terminal.shows_bars() and not recorder.quiet else 0,
            **watched,
        )
    except KeyboardInterrupt:
        print(
            f"\nstopped; {recorder.epoch} of {epochs} epochs are kept in "
            f"{recorder.folder}",
            file=sys.stderr,
        )
        raise
    distributed.restore_model(model)
    return recorder.history


def steps(run, train: Split | None = None) -> int:
    """Return the number of steps of a whole fit, for a learning rate schedule.

    Args:
        run: The open run.
        train: What is fitted; None for the run's own training split.
    """
    train = run.data.train if train is None else train
    per_epoch = splits.steps_per_epoch(train, run.config.batch_size)
    return run.config.epochs * per_epoch


def train_seconds(*histories: dict) -> dict[str, float]:
    """Return the wall and CPU seconds of whole fits, as metrics.

    They hold everything from the first step's tracing to the last validation.
    """
    return {
        f"train_{name}": sum(sum(history[name]) for history in histories)
        for name in ("seconds", "cpu_seconds")
    }


_LOSSES = {
    "categorical_crossentropy": "cross-entropy",
    "sparse_categorical_crossentropy": "cross-entropy",
    "mse": "mean squared error",
    "mean_squared_error": "mean squared error",
}


def _loss_in_words(model: keras.Model) -> str:
    """Return what a compiled model calls its loss."""
    loss = model.loss
    name = getattr(loss, "name", None) or getattr(loss, "__name__", str(loss))
    words = _LOSSES.get(name, f"`{name}`")
    if getattr(loss, "label_smoothing", 0):
        words += " of smoothed labels"
    if any(
        getattr(layer, f"{of}_regularizer", None)
        for layer in model._flatten_layers()
        for of in ("kernel", "bias", "recurrent", "activity")
    ):
        words += " with penalties"
    return words


def _tensorboard(run, phase: str) -> keras.callbacks.Callback:
    folder = run.folder / "tensorboard"
    if phase != "train":
        folder /= phase
    return keras.callbacks.TensorBoard(folder, write_graph=False)


class _Recorder(keras.callbacks.Callback):
    """Keeps the history, the log and the checkpoints of one fit.

    A checkpoint is `checkpoints/<phase>/<epoch>-<sum>.npz`: written for
    complete, finite epochs only, by temporary file and rename, with the first
    half of its SHA-256 in the name. Two are kept, so a damaged one costs an
    epoch.
    """

    def __init__(self, run, phase, epochs, callbacks, quiet):
        super().__init__()
        self.run = run
        self.phase = phase
        self.epochs = epochs
        self.quiet = quiet or not run.devices.is_chief
        self.others = [c for c in callbacks if hasattr(c, "wait")]
        self.folder = run.folder / "checkpoints" / phase
        if run.devices.is_chief:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.epoch = 0  # number of complete epochs
        self.stopped = False  # by early stopping
        self.history = {}
        self._restored_others = []

    # Keras calls these.

    def on_train_begin(self, logs=None):
        # Early stopping has just forgotten everything; remind it.
        for callback, state in zip(
            self.others, self._restored_others, strict=False
        ):
            vars(callback).update(state)
        self._marks = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        marks = time.perf_counter(), time.process_time()
        seconds, cpu_seconds = np.subtract(marks, self._marks)
        self._marks = marks
        logs = {name: float(value) for name, value in logs.items()}
        self._refuse_nan(epoch, logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
        self.history.setdefault("seconds", []).append(float(seconds))
        self.history.setdefault("cpu_seconds", []).append(float(cpu_seconds))
        self.stopped = bool(self.model.stop_training)
        self._save(epoch + 1)
        self.epoch = epoch + 1
        self._write_history()
        values = "  ".join(f"{k} {v:.4g}" for k, v in logs.items())
        if self.quiet:
            if self.epoch == self.epochs and self.run.devices.is_chief:
                seconds = sum(self.history["seconds"])
                print(f"{self.phase}  {values}  {seconds:.1f} s", flush=True)
        elif not terminal.shows_bars():
            phase = "" if self.phase == "train" else f"{self.phase}: "
            print(
                f"{phase}epoch {epoch + 1}/{self.epochs}  {values}  "
                f"{seconds:.1f} s",
                flush=True,
            )

    # The state of a run.

    def restore(self, model) -> int:
        """Load the newest good checkpoint; return its number of epochs."""
        variables = model.variables + model.optimizer.variables
        for path in sorted(self.folder.glob("*.npz"), reverse=True):
            state = read_checkpoint(path, variables, self.run.settings)
            if state is None:
                print(
                    f"{path} is damaged; going back to the one before it",
                    file=sys.stderr,
                )
                continue
            values, meta, others = state
            with self.run.devices.scope():
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            self.epoch, self.stopped = meta["epoch"], meta["stopped"]
            self.history = meta["history"]
            self._restored_others = others
            self._write_history()  # it may be an epoch behind or ahead
            if not self.quiet:
                print(
                    f"{self.phase}: resuming after epoch {self.epoch} of "
                    f"{self.epochs}"
                )
            break
        return self.epoch

    def _save(self, epoch):
        if not self.run.devices.is_chief:
            return
        variables = self.model.variables + self.model.optimizer.variables
        arrays = {f"v{i}": v.numpy() for i, v in enumerate(variables)}
        others = []
        for i, callback in enumerate(self.others):
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
        write_checkpoint(self.folder, epoch, arrays)

    def _refuse_nan(self, epoch, logs):
        bad = [name for name, value in logs.items() if not np.isfinite(value)]
        # Fused operations may turn a NaN weight into a finite loss.
        bad += [
            variable.path
            for variable in self.model.variables
            if not np.all(np.isfinite(variable.numpy()))
        ]
        if bad:
            raise RecipeError(
                f"Training diverged in epoch {epoch + 1}: {bad[0]} is NaN or "
                "infinite. Nothing was exported. Try a smaller "
                "--learning-rate, or --precision float32."
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
