"""Kill a training at random moments, and see that nothing is lost.

    python tests/survival/chaos.py [--recipe mnist_cnn] [--kills 50]
                                   [--workers 1] [--epochs N] [--seed 0]
                                   [--offline]

Trains once unbroken, then again in another folder: there the same command is
killed with SIGKILL, and started again, until it has been killed often enough.
Some kills come while it starts, most while it trains or as it writes a
checkpoint, a fifth between the last epoch and the end. With several workers a
random one is killed, and the others have to end by themselves; once training is
over it is the chief, for it alone still works.

After every kill each file must be whole that stands under its final name, every
epoch that was said to be complete must be kept, and there must be one run. In
the end all variables, the metrics and the one export must be, bit for bit,
those of the training that nobody killed. Exits with 1 at the first thing that
does not hold, and leaves the folders.

The recipe must be of one fit. Trains on what TFDS_DATA_DIR holds, or on the
embedded digits if that is not set or with --offline.
"""

import argparse
import collections
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import launch_workers
from helpers.ends import end_of, not_whole, unfinished

from recipes.lab.command import _import_tensorflow_quietly

SURVIVOR_SECONDS = 90  # for a worker to see that another is lost
MEET_SECONDS = 120  # for a worker to see that another never came
CHECKPOINTS = "runs/*/*/checkpoints/*/*.npz"
BEGUN = ("run ", "continuing ")


class Broken(Exception):
    """Something that was promised does not hold."""


def main(argv=None) -> int:
    """Train, kill, check and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", default="mnist_cnn")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="2 for 5 kills, if not set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--offline", action="store_true")
    arguments = parser.parse_args(argv)
    epochs = arguments.epochs or max(3, arguments.kills * 2 // 5)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    command = [sys.executable, "-m", f"recipes.{arguments.recipe}"]
    command += ["--epochs", str(epochs)]
    if arguments.offline or "TFDS_DATA_DIR" not in os.environ:
        os.environ["TFDS_DATA_DIR"] = str(folder / "nowhere")
        command.append("--offline")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _import_tensorflow_quietly()
    try:
        run(folder, command, epochs, arguments)
    except Broken as problem:
        print(f"{problem}\nthe folders are left in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def run(folder: Path, command: list[str], epochs: int, arguments) -> None:
    """Do it all.

    Raises:
        Broken: If something does not hold.
    """
    draw = random.Random(arguments.seed)
    unbroken, killed = folder / "unbroken", folder / "killed"
    began = time.monotonic()
    with Attempt(command, unbroken, arguments.workers, epochs) as attempt:
        attempt.finish()
        usual = attempt.durations()
    seconds = time.monotonic() - began
    print(f"unbroken: {seconds:.0f} s, {epochs} epochs", flush=True)

    hits = collections.Counter()
    begun_again = kept = 0
    began = time.monotonic()
    for number, moment in enumerate(moments(arguments.kills, draw), start=1):
        before = unfinished(killed)
        with Attempt(command, killed, arguments.workers, epochs) as attempt:
            moment = attempt.wait_for(moment, usual, draw)
            victim = 0 if moment in ENDING else draw.randrange(len(attempt))
            attempt.kill(victim)
        hit = attempt.where(moment, unfinished(killed) - before)
        name = f"kill {number} of {arguments.kills}, {hit}"
        if len(attempt) > 1:
            name += f", of worker {victim}"
        found = attempt.survivors + problems(killed)
        said = max(kept, attempt.said_complete())
        kept = newest_epoch(killed)
        if not said <= kept <= said + 1:
            found.append(f"{kept} epochs are kept of {said} that it had said")
        if list(killed.glob("runs/*/*/metrics.json")):
            found.append("the run was finished before it could be killed")
        if found:
            raise Broken("\n".join([name + ":", *found, *attempt.last_words()]))
        hits[hit] += 1
        begun_again += bool(attempt.when(*BEGUN)) and kept < epochs
        print(
            f"{name}, after {attempt.seconds:.1f} s: {kept} of {epochs} epochs "
            "kept",
            flush=True,
        )
    with Attempt(command, killed, arguments.workers, epochs) as attempt:
        attempt.finish()
    if found := problems(killed) + differences(killed, unbroken):
        raise Broken("\n".join(["in the end:", *found]))
    print(
        f"{arguments.kills} kills in {time.monotonic() - began:.0f} s: "
        + ", ".join(f"{count} {hit}" for hit, count in hits.most_common())
        + f"; {begun_again} epochs were begun again, none that was complete; "
        "the end is that of the unbroken training, bit for bit"
    )


# --- killing ------------------------------------------------------------

TRAINING = {"starting": 2, "training": 4, "checkpoint": 3}  # weights
ENDING = ("ending", "exported")


def moments(kills: int, draw: random.Random) -> list[str]:
    """Return when to kill: before the end four times of five, then at it."""
    ending = max(1, kills // 5)
    last = [ENDING[0]] * (ending - ending // 3) + [ENDING[1]] * (ending // 3)
    weights = TRAINING.values()
    return draw.choices(list(TRAINING), weights, k=kills - ending) + last


class Attempt:
    """The processes of one start of the command, and what they say."""

    def __init__(self, command, output: Path, workers: int, epochs: int):
        self.output = output
        self.last = (
            f"epoch {epochs}/{epochs} ",
            f"train: resuming after epoch {epochs} of {epochs}",
        )
        self.survivors = []
        self.present = self._checkpoints()
        self.started = time.monotonic()
        addresses = launch_workers.free_addresses(workers)
        command = [*command, "--output-dir", str(output)]
        self.processes = [
            launch_workers.start(command, addresses, index)
            for index in range(workers)
        ]
        self.lines = [[] for _ in self.processes]
        self.readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in zip(self.processes, self.lines, strict=True)
        ]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        for reader in self.readers:
            reader.join()
        self.seconds = time.monotonic() - self.started

    def __len__(self):
        return len(self.processes)

    def _read(self, process, lines):
        with process.stdout:
            for line in process.stdout:
                lines.append((time.monotonic(), line.rstrip()))

    def _checkpoints(self) -> set[str]:
        return {path.name for path in self.output.glob(CHECKPOINTS)}

    def when(self, *beginnings: str) -> float | None:
        """Return when the chief first said a line that begins so."""
        for moment, line in list(self.lines[0]):
            if line.startswith(beginnings):
                return moment
        return None

    def last_words(self) -> list[str]:
        return [
            f"[{index}] {line}"
            for index, lines in enumerate(self.lines)
            for _, line in lines[-5:]
        ]

    def finish(self) -> None:
        """Wait for the end of all, which must be a good one."""
        for process, reader in zip(self.processes, self.readers, strict=True):
            process.wait()
            reader.join()  # its last lines are read after it has ended
        for process in self.processes:
            if process.returncode:
                words = "\n".join(self.last_words())
                raise Broken(f"it ended with {process.returncode}:\n{words}")

    def durations(self) -> dict[str, float]:
        """Return how long after its cue each moment may come."""
        begun, first = self.when(*BEGUN), self.when("epoch 1/")
        last, exported = self.when(*self.last), self.when("exported ")
        return {
            "starting": begun - self.started,
            "training": 1.2 * (first - begun),  # with the graph and an epoch
            "checkpoint": 0.03,
            "ending": 0.8 * (exported - last),
            # It must not come too late, for a finished run is not gone on with.
            "exported": (self.when("report ") - exported) / 4,
        }

    def wait_for(self, moment: str, usual: dict, draw: random.Random) -> str:
        """Wait for a random time after the cue of a moment.

        Returns:
            The moment; a later one, if training or export was over before.
        """
        share, saved = draw.random(), None
        while not self.when("report "):
            ended, exported = self.when(*self.last), self.when("exported ")
            if exported:
                moment = "exported"
            elif ended and moment in TRAINING:
                moment = "ending"
            if moment == "checkpoint" and not saved:
                if self._checkpoints() - self.present:
                    saved = time.monotonic()
            cue = {
                "starting": self.started,
                "training": self.when(*BEGUN),
                "checkpoint": saved,
                "ending": ended,
                "exported": exported,
            }[moment]
            if cue and time.monotonic() >= cue + share * usual[moment]:
                break
            codes = {process.poll() for process in self.processes} - {None}
            if codes:
                words = "\n".join(self.last_words())
                raise Broken(f"it ended with {codes} unkilled:\n{words}")
            time.sleep(0.001)
        return moment

    def kill(self, victim: int) -> None:
        """Kill one process; the others have to end by themselves."""
        self.processes[victim].kill()
        seconds = SURVIVOR_SECONDS
        if not self.when(*BEGUN):
            seconds += MEET_SECONDS
        deadline = time.monotonic() + seconds
        for index, process in enumerate(self.processes):
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if process.returncode is None:
                self.survivors.append(
                    f"worker {index} still waits after {seconds} seconds"
                )

    def said_complete(self) -> int:
        """Return the number of complete epochs that the chief spoke of."""
        text = "\n".join(line for _, line in self.lines[0])
        numbers = re.findall(
            r"^(?:epoch|.*resuming after epoch) (\d+)", text, re.M
        )
        return max(map(int, numbers), default=0)

    def where(self, moment: str, left: set[Path]) -> str:
        """Say what a kill hit, by what it left unfinished and had said."""
        for path in sorted(left):
            if path.suffix == ".npz":
                return "writing a checkpoint"
            if path.parent.parent.name == "saved_models":
                return "writing the export"
            return "writing " + path.name.split("-", 2)[-1]
        if self.when("exported "):
            return "after the export"
        if self.when(*self.last):
            return "after the last epoch"
        if moment == "checkpoint":
            return "just after a checkpoint"
        return "training" if self.when(*BEGUN) else "starting"


# --- checking -----------------------------------------------------------


def problems(output: Path) -> list[str]:
    """Name whatever a killed training must not leave in an output folder."""
    found = not_whole(output)
    runs = list(output.glob("runs/*/*"))
    if len(runs) > 1:
        found.append(f"there are {len(runs)} runs: {runs}")
    return found


def newest_epoch(output: Path) -> int:
    """Return how many epochs are kept."""
    names = [p.name for p in output.glob(CHECKPOINTS)]
    return max((int(n[:6]) for n in names if n[0] != "."), default=0)


def differences(output: Path, expected: Path) -> list[str]:
    """Name what two finished trainings do not share, bit for bit."""
    import numpy as np

    import zoo

    found = [f"{path} is left over" for path in unfinished(output)]
    (arrays, numbers), (others, other_numbers) = map(end_of, (output, expected))
    if numbers != other_numbers:
        found.append(f"{numbers} is not {other_numbers}")
    found += [
        f"{name} of the last checkpoint differs"
        for name in arrays.keys() | others.keys()
        if not np.array_equal(arrays.get(name), others.get(name))
    ]
    exports = list(output.glob("saved_models/*/*"))
    if len(exports) != 1:
        return [*found, f"there are {len(exports)} exports: {exports}"]
    model, other = (
        zoo.load_model(path, verbose=False)
        for path in (*exports, *expected.glob("saved_models/*/*"))
    )
    shape = (64, *model.input_shape[1:])
    inputs = np.random.default_rng(0).integers(0, 256, shape)
    answer, other = (m(inputs, training=False) for m in (model, other))
    if not np.array_equal(answer, other):
        found.append("the exports answer differently")
    return found


if __name__ == "__main__":
    sys.exit(main())
