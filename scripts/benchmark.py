"""Measure speeds and memory, side by side, and say what is compared.

    python scripts/benchmark.py training [--rounds 3]
    python scripts/benchmark.py peers [--rounds 3] [--only mnist_cnn ...]
    python scripts/benchmark.py maps [--rounds 3]
    python scripts/benchmark.py machines [--rounds 3]
    python scripts/benchmark.py precision [--recipe mnist_cnn] [--rounds 3]
    python scripts/benchmark.py scaling [--rounds 3] [--batch-size 1024]
                                        [--recipe mnist_cnn] [--epochs 4]
    python scripts/benchmark.py growth [--largest 20] [--recipe mnist_cnn]
    python scripts/benchmark.py predict [--files 100000] [--rounds 3]
    python scripts/benchmark.py serving [--export mnist_cnn] [--callers 8]
                                        [--seconds 60]
    python scripts/benchmark.py serving --http [--callers 1 8 64]

Each is a file of `scripts/benchmarks/`; `--help` behind its name says how it
measures. On a shared machine one number means little. So two sides take turns,
A B A B, each in a process of its own, and what counts are medians of ratios.
"""

import argparse
import sys

from benchmarks import (
    growth,
    machines,
    maps,
    peers,
    precision,
    predict,
    scaling,
    serving,
    training,
)

COMMANDS = {
    "training": training,
    "peers": peers,
    "precision": precision,
    "maps": maps,
    "machines": machines,
    "scaling": scaling,
    "growth": growth,
    "predict": predict,
    "serving": serving,
}


def main(argv=None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name,
            help=command.__doc__.partition("\n")[0],
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_flags(own)
        own.set_defaults(refuse=own.error)
    arguments = parser.parse_args(argv)
    if getattr(arguments, "rounds", 1) < 1:
        arguments.refuse(
            f"--rounds must be 1 or more. Received: {arguments.rounds}"
        )
    return COMMANDS[arguments.what].main(arguments)


if __name__ == "__main__":
    sys.exit(main())
