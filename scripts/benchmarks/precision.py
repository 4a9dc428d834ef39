"""What lower precision makes of an epoch, beside float32.

A recipe trains in both, A B A B. What counts is the time of an epoch, but for
the first, which also traces. Behind `--` may stand flags of the recipe:

    python scripts/benchmark.py precision -- --batch-size 256

On two cores that multiply bfloat16 themselves (AMX) an epoch of
`mnist_cnn_accurate` with four convolutions of 7×7 and 32 to 96 maps took 0.59
of the time, one of `mnist_cnn` 1.44 times as long.
"""

import statistics

from benchmarks.recipe_runs import measure

ALONE = "float32"


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--recipe", default="mnist_cnn")
    parser.add_argument(
        "--precision",
        default="mixed_bfloat16",
        choices=("mixed_bfloat16", "mixed_float16"),
    )
    parser.add_argument("flags", nargs="*", help="flags of the recipe")


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    if arguments.epochs < 2:
        arguments.refuse("--epochs must be 2 or more: the first is left out")
    ratios = []
    for number in range(arguments.rounds):
        seconds = {}
        for precision in (ALONE, arguments.precision):
            run = measure(
                *(arguments.recipe, *arguments.flags),
                *("--epochs", str(arguments.epochs), "--precision", precision),
            )
            later = run["epochs"][1:]
            seconds[precision] = statistics.median(e["seconds"] for e in later)
            said = f"{precision}: {seconds[precision]:.1f} s an epoch"
            if (accuracy := later[-1].get("val_accuracy")) is not None:
                said += f", {100 * accuracy:.2f} % in validation at the end"
            print(f"round {number + 1}, {said}", flush=True)
        ratios.append(seconds[arguments.precision] / seconds[ALONE])
    print(
        f"an epoch takes {statistics.median(ratios):.2f} of the time "
        f"({min(ratios):.2f} to {max(ratios):.2f}) that it takes in {ALONE}"
    )
    return 0
