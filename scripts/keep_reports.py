"""Keep the reports of runs, which the chart and the course link to.

    python scripts/keep_reports.py runs/mnist_kohonen/1 runs/mnist_svm/3

Each goes to saved_models/reports/RECIPE.html, in the place of an older one. The
pictures are coded as WebP without any loss, which halves the file. Dry runs,
runs on a sample, and those with flags are no reports of a recipe.
"""

import argparse
import base64
import io
import json
import re
import sys
from pathlib import Path

from PIL import Image

from recipes.lab import files

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "saved_models" / "reports"


def main(argv=None) -> int:
    """Keep the reports; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    arguments = parser.parse_args(argv)
    REPORTS.mkdir(exist_ok=True)
    for run in arguments.runs:
        kept = REPORTS / f"{recipe_of(run)}.html"
        page = (run / "report.html").read_text(encoding="utf-8")
        files.write_atomically(kept, with_small_pictures(page))
        print(f"{kept.relative_to(ROOT)}  {kept.stat().st_size / 1e3:.0f} kB")
    return 0


def recipe_of(run: Path) -> str:
    """Return the recipe whose plain command a finished run was.

    Raises:
        SystemExit: If it is no such run.
    """
    try:
        record = json.loads((run / "metrics.json").read_bytes())
    except FileNotFoundError:
        raise SystemExit(f"error: {run} is no finished run") from None
    recipe = record["recipe"]
    if (
        record["command"] != f"python -m recipes.{recipe}"
        or record["settings"]["dry_run"]
        or run.resolve().parent.name != recipe
    ):
        raise SystemExit(
            f"error: {run} was `{record['command']}`, and what is kept is a "
            f"whole training by `python -m recipes.{recipe}`"
        )
    return recipe


def with_small_pictures(page: str) -> str:
    """Return a page whose PNG pictures are WebP, with the same pixels."""

    def smaller(match):
        picture = Image.open(io.BytesIO(base64.b64decode(match[1])))
        if picture.mode == "RGBA" and picture.getextrema()[3][0] == 255:
            picture = picture.convert("RGB")
        coded = io.BytesIO()
        picture.save(coded, "WEBP", lossless=True, quality=100, method=6)
        text = base64.b64encode(coded.getvalue()).decode()
        return f"data:image/webp;base64,{text}"

    return re.sub("data:image/png;base64,([A-Za-z0-9+/=]+)", smaller, page)


if __name__ == "__main__":
    sys.exit(main())
