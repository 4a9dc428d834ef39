"""Download and prepare the data sets once, for a classroom or for offline use.

    python scripts/prepare_data.py [mnist fashion_mnist] [--data-dir DIR]

It says where they are, and what to type so that recipes train on them.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from recipes.lab.data import sources, tfds
from recipes.lab.errors import DataError


def main(argv=None) -> int:
    """Prepare the data sets and say where they are."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everything = " ".join(sources.SOURCES)
    parser.add_argument(
        "datasets", nargs="*", metavar="NAME", help=f"default: {everything}"
    )
    parser.add_argument(
        "--data-dir", help="default: TFDS_DATA_DIR, or ~/tensorflow_datasets"
    )
    arguments = parser.parse_args(argv)
    unknown = set(arguments.datasets) - set(sources.SOURCES)
    if unknown:
        parser.error(
            f"no such data set: {', '.join(sorted(unknown))}. There are: "
            f"{everything}"
        )

    folder = arguments.data_dir or os.environ.get("TFDS_DATA_DIR")
    folder = Path(
        os.path.expanduser(folder or "~/tensorflow_datasets")
    ).absolute()
    try:
        folder = tfds.data_directory(folder)
        for name in arguments.datasets or sources.SOURCES:
            version = tfds.find(name, folder) or tfds.download(name, folder)
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
