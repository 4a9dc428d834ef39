"""Download and prepare the data sets once, for a classroom or for offline use.

    python scripts/prepare_data.py [mnist fashion_mnist] [--data-dir DIR]
    python scripts/prepare_data.py cifar10  # or another name of TFDS

It says where they are, and what to type so that recipes train on them.
"""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from recipes.lab.command import quietly


def main(argv=None) -> int:
    """Prepare the data sets and say where they are."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "datasets",
        nargs="*",
        metavar="NAME",
        help="default: all that recipes use",
    )
    parser.add_argument(
        "--data-dir", help="default: TFDS_DATA_DIR, or ~/tensorflow_datasets"
    )
    arguments = parser.parse_args(argv)
    return quietly(lambda: prepare(arguments, parser.error))


def prepare(arguments, refuse) -> int:
    """Prepare what was asked for, or refuse it; return the exit code."""
    from recipes.lab.data import sources, tfds
    from recipes.lab.errors import DataError

    others = {re.split("[/:]", name)[0] for name in arguments.datasets}
    others -= set(sources.SOURCES)
    if others and (unknown := others - set(tfds.names())):
        refuse(
            f"no such data set: {', '.join(sorted(unknown))}. There are: "
            f"{' '.join(sources.SOURCES)}, and all others of TFDS"
        )

    folder = arguments.data_dir or os.environ.get("TFDS_DATA_DIR")
    folder = Path(
        os.path.expanduser(folder or "~/tensorflow_datasets")
    ).absolute()
    try:
        folder = tfds.data_directory(folder)
        for name in arguments.datasets or sources.SOURCES:
            find = tfds.find if name in sources.SOURCES else tfds.find_any
            version = find(name, folder) or tfds.download(name, folder)
            print(f"{name} is in {version}")
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3

    where = shlex.quote(str(folder))
    print(
        "\nTo train on what is there, type this in every new shell,\n"
        f"    export TFDS_DATA_DIR={where}\n"
        "or give a recipe\n"
        f"    --data-dir {where}\n"
        "For a machine without a network, copy that folder, and name the copy."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
