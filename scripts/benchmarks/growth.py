"""What each additional image costs a training in time and in memory.

An epoch is trained on the training images once, twice, and so on up to twenty
times over, each in a process of its own. The exit code is 1 if an image costs
more memory than two and a half times its own bytes: NumPy and TensorFlow hold
it once each, and 2.1 times were measured. Time grows in proportion.
"""

import concurrent.futures
import contextlib
import dataclasses
import importlib
import multiprocessing
import resource
import tempfile
from pathlib import Path

FACTORS = (1, 2, 5, 10, 20)
MAY_COST = 2.5  # times an image's own bytes


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--largest", type=int, default=20)
    parser.add_argument("--recipe", default="mnist_cnn")


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if arguments.largest < 2:
        arguments.refuse("--largest must be 2 or more: growth is a difference")
    return grow(arguments.recipe, arguments.largest)


def grow(recipe: str, largest: int) -> int:
    """Train on more and more images; return the exit code."""
    factors = [factor for factor in FACTORS if factor <= largest]
    # Each factor has a process of its own: memory never shrinks.
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        found = []
        for factor in factors:
            found.append(pool.submit(train_on_more, recipe, factor).result())
            images, seconds, memory, size = found[-1]
            print(
                f"{factor:>3} x {images // factor:,} images: an epoch of "
                f"{seconds:.1f} s, at most {memory / 1e6:,.0f} MB in all",
                flush=True,
            )
    images, seconds, memory, sizes = zip(*found, strict=True)
    paces = [
        1e6 * (after - before) / (more - less)
        for less, more, before, after in zip(
            images, images[1:], seconds, seconds[1:], strict=False
        )
    ]
    size = sizes[0]
    cost = (memory[-1] - memory[0]) / (images[-1] - images[0])
    print(
        "an image more costs "
        + ", ".join(f"{pace:.1f}" for pace in paces)
        + f" us from step to step, and {cost:,.0f} bytes of memory, "
        f"{cost / size:.2f} times its {size} pixels"
    )
    return int(cost > MAY_COST * size)


def train_on_more(recipe: str, factor: int) -> tuple:
    """Train one epoch on the training images, so many times over.

    Returns:
        The number of images, the seconds of the epoch, the most bytes of memory
        that the process has held, and the bytes of an image.
    """
    import io

    import numpy as np

    from recipes.lab.data import sources, splits
    from recipes.lab.flags import RunOptions

    load = sources.load
    images = None

    def load_more(name, options):
        nonlocal images
        data = load(name, options)
        train = splits.Split(
            np.tile(data.train.inputs, (factor, 1, 1, 1)),
            np.tile(data.train.targets, factor),
        )
        images = train.inputs
        return dataclasses.replace(data, train=train)

    sources.load = load_more
    module = importlib.import_module(f"recipes.{recipe}")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        options = RunOptions(output_dir=Path(folder))
        config = module.Config(epochs=1, run=options)
        metrics = module.train(config)
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return len(images), metrics["train_seconds"], memory, images[0].nbytes
