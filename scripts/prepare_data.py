"""Download and prepare the data sets once, for a classroom or for offline use.

    python scripts/prepare_data.py [mnist fashion_mnist] [--data-dir DIR]

Then point TFDS_DATA_DIR at the folder, or give it to a recipe's --data-dir.
"""

import argparse
import sys

DATASETS = ("mnist", "fashion_mnist")


def main(argv=None) -> int:
    """Prepare the data sets and say where they are."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("datasets", nargs="*", help=f"default: {DATASETS}")
    parser.add_argument("--data-dir", help="default: TFDS_DATA_DIR, or TFDS'")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.datasets) - set(DATASETS)
    if unknown:
        parser.error(f"no such data set: {', '.join(sorted(unknown))}")

    import tensorflow_datasets as tfds

    for name in arguments.datasets or DATASETS:
        builder = tfds.builder(name, data_dir=arguments.data_dir)
        builder.download_and_prepare()
        print(f"{name}: {builder.data_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
