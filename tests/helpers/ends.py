"""How trainings end: in whole files, and in the same bits or in others."""

import csv
import json
from pathlib import Path

import numpy as np

from recipes.lab import files

TIMES = ("seconds", "cpu_seconds")


def not_whole(output: Path) -> list[str]:
    """Name whatever is not whole in an output folder, though it looks so."""
    from zoo import _loading

    checks = [(_loading.check_sums, "saved_models/*/[!.]*")]
    checks += [(check_file, "runs/**/[!.]*.*")]
    found = []
    for check, pattern in checks:
        for path in sorted(output.glob(pattern)):
            try:
                check(path)
            except (OSError, ValueError, LookupError) as error:
                found.append(f"{path}: {error!r}")
    return found


def check_file(path: Path) -> None:
    """Check a file of a run.

    Raises:
        ValueError: If it is not whole, or of no kind that a run writes.
    """
    content = path.read_bytes()
    if path.suffix == ".npz":
        whole = files.sha256(path)[:32] == path.stem.partition("-")[2]
    elif path.suffix == ".json":
        whole = json.loads(content)["schema"] == 1
    elif path.suffix == ".csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        numbers = [str(number) for number in range(1, len(rows) + 1)]
        whole = content.endswith(b"\n")
        whole &= [row["epoch"] for row in rows] == numbers
        whole &= not any(None in (*row, *row.values()) for row in rows)
    elif path.suffix == ".html":
        whole = content.endswith(b"</html>\n")
    elif path.suffix == ".png":
        whole = content[:4] == b"\x89PNG" and content[-8:-4] == b"IEND"
    else:
        raise ValueError("no run writes such a file")
    if not whole:
        raise ValueError("it is not whole")


def unfinished(output: Path) -> set[Path]:
    """Return the files and folders that are not yet under their names."""
    return set(output.rglob(".tmp-*"))


def end_of(output: Path, run: str = "*") -> tuple[dict, dict]:
    """Return what a run, or the only one, has computed.

    Returns:
        The arrays of its last checkpoint; history, callbacks and metrics.
    """
    *_, last = sorted(output.glob(f"runs/*/{run}/checkpoints/*/*.npz"))
    with np.load(last) as file:
        arrays = dict(file)
    meta = json.loads(arrays.pop("meta").tobytes())
    [record] = output.glob(f"runs/*/{run}/metrics.json")
    metrics = json.loads(record.read_text())["metrics"]
    return arrays, {
        "history": {k: v for k, v in meta["history"].items() if k not in TIMES},
        "callbacks": meta["others"],
        "metrics": {
            k: v for k, v in metrics.items() if not k.startswith("train_")
        },
    }


def assert_same_end(output, other, run="*"):
    """Two runs have computed the same bits; the first may be one of several."""
    arrays, numbers = end_of(output, run)
    others, expected = end_of(other)
    assert numbers == expected
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, others[name])
