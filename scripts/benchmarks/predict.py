"""`python -m zoo predict` beside two programs that users write.

They are asked about small PNG files in turn: Pillow and `keras predict`, and a
tf.data pipeline before the signature `image_bytes` of the SavedModel. All write
a CSV file and give the same answers. Ours is the whole command; of the others
neither the start, which takes seconds, nor the first batch, which traces,
counts.

The exit code is 1 if ours is not 1.5 times as fast as the faster one, or if its
largest process holds more memory for all files than for a tenth of them.
"""

import csv
import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.clocks import alone
from benchmarks.recipe_runs import ROOT

SHIPPED = "mnist_cnn@shipped"
FILES_IN_A_FOLDER = 1_000
FILES_AT_ONCE = 256  # that the other programs ask about
MUST_BE_FASTER = 1.5  # times
MAY_HOLD = 8  # megabytes more for ten times the files


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if arguments.files < 10:
        arguments.refuse("--files must be 10 or more: a tenth is asked, too")
    return compare_predict(arguments.files, arguments.rounds)


class Predicted(NamedTuple):
    """What a program took for a folder: seconds, and megabytes at most."""

    wall: float
    cpu: float
    memory: float


def compare_predict(files: int, rounds: int) -> int:
    """Answer to a folder of pictures in three ways; return the exit code."""
    ways = {
        "python -m zoo predict": predict_with_ours,
        "Pillow and keras predict": functools.partial(alone, ask_keras),
        "tf.data and image_bytes": functools.partial(alone, ask_signature),
    }
    with tempfile.TemporaryDirectory() as place:
        few, many = Path(place, "few"), Path(place, "many")
        # Elsewhere, for what a process holds is said of those it starts, too.
        alone(write_pictures, few, files // 10)
        alone(write_pictures, many, files)
        found = {way: [] for way in ways}
        for _ in range(rounds):
            for way, ask in ways.items():
                answers = Path(place, f"{way}.csv")
                found[way].append(ask(many, answers))
                print(
                    f"{way:<24}  {files / found[way][-1].wall:>8,.0f} files/s, "
                    f"{1e6 * found[way][-1].cpu / files:,.0f} us of CPU time "
                    f"each, {found[way][-1].memory:,.0f} MB",
                    flush=True,
                )
        ours, *others = (
            read_classes(Path(place, f"{way}.csv")) for way in ways
        )
        for other in others:
            # Where two classes are nearly as likely, rounding decides.
            same = sum(map(str.__eq__, ours, other)) / files
            if len(other) != files or same < 0.999:
                raise RuntimeError(f"The answers differ: {same:.2%} are alike.")
        answers = Path(place, "few.csv")
        memory = predict_with_ours(few, answers).memory
    ours, *others = found.values()
    wall, cpu = (
        statistics.median(
            min(getattr(other, clock) for other in round_)
            / getattr(mine, clock)
            for mine, *round_ in zip(ours, *others, strict=True)
        )
        for clock in ("wall", "cpu")
    )
    grown = statistics.median(mine.memory for mine in ours) - memory
    print(
        f"ours is {wall:.1f} times as fast as the faster one (must be "
        f"{MUST_BE_FASTER}), and takes 1/{cpu:.1f} of its CPU time; its "
        f"largest process holds {grown:+.0f} MB for ten times the files (at "
        f"most {MAY_HOLD:+})"
    )
    return int(wall < MUST_BE_FASTER or grown > MAY_HOLD)


def write_pictures(folder: Path, count: int) -> None:
    """Write digits as PNG files of 28 x 28 pixels, a thousand in a folder."""
    import io

    from PIL import Image

    from recipes.lab.data.sample import digits

    contents = []
    for image in digits()[0][:FILES_IN_A_FOLDER]:
        file = io.BytesIO()
        Image.fromarray(image[..., 0]).save(file, "PNG")
        contents.append(file.getvalue())
    for number in range(count):
        place = folder / f"{number // FILES_IN_A_FOLDER:04}"
        if number % FILES_IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        path = place / f"{number:07}.png"
        path.write_bytes(contents[number % len(contents)])


def predict_with_ours(folder: Path, answers: Path) -> Predicted:
    """Run the command; memory is that of its largest process."""
    command = [*(sys.executable, "-m", "zoo", "predict", SHIPPED)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(folder), "--csv", str(answers)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Predicted(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def ask_keras(folder: Path, answers: Path) -> Predicted:
    """Decode with Pillow and ask the Keras model, some files at a time."""
    import numpy as np
    from PIL import Image

    import zoo

    model = zoo.load_model(SHIPPED, verbose=False)

    def read(path):
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))

    def ask(paths):
        images = np.stack([read(path) for path in paths])[..., np.newaxis]
        return model.predict(images, FILES_AT_ONCE, verbose=0)

    def batches(paths):
        for start in range(0, len(paths), FILES_AT_ONCE):
            some = paths[start : start + FILES_AT_ONCE]
            yield some, ask(some)

    return time_predict(folder, answers, batches)


def ask_signature(folder: Path, answers: Path) -> Predicted:
    """Read files with tf.data and ask the SavedModel about their bytes."""
    import tensorflow as tf

    from zoo import _loading

    served = tf.saved_model.load(str(_loading.find_export(SHIPPED)))
    ask = served.signatures["image_bytes"]

    def batches(paths):
        data = tf.data.Dataset.from_tensor_slices(paths)
        data = data.map(
            lambda path: (path, tf.io.read_file(path)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        data = data.batch(FILES_AT_ONCE).prefetch(tf.data.AUTOTUNE)
        for some, contents in data:
            found = ask(image_bytes=contents)["probabilities"].numpy()
            yield [path.decode() for path in some.numpy()], found

    return time_predict(folder, answers, batches)


def time_predict(folder: Path, answers: Path, batches: Callable) -> Predicted:
    """Write what a program answers to a folder, and take its time."""
    paths = sorted(str(path) for path in folder.rglob("*.png"))
    for _ in batches(paths[:FILES_AT_ONCE]):  # it traces
        pass
    wall, cpu = time.perf_counter(), time.process_time()
    with open(answers, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", "probability"])
        for some, probabilities in batches(paths):
            classes = probabilities.argmax(axis=1)
            best = probabilities.max(axis=1)
            writer.writerows(zip(some, classes, best, strict=True))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Predicted(wall, cpu, used.ru_maxrss / 1024)


def read_classes(answers: Path) -> list[str]:
    """Return the column of classes of a CSV file."""
    with open(answers, newline="") as file:
        return [row["class"] for row in csv.DictReader(file)]
