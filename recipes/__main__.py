"""`python -m recipes` lists the recipes with their measured results.

`python -m recipes NAME` runs one, as `python -m recipes.NAME` does; with --help
it shows the recipe's flags. `python -m recipes verify EXPORT` scores a trained
model anew, `python -m recipes compare RUN RUN` puts runs side by side, and
`python -m recipes gallery` puts all models that ship on one page.
"""

import argparse
import difflib
import importlib
import runpy
import signal
import sys
import textwrap
from pathlib import Path

from recipes.lab import command, terminal
from recipes.lab.metrics import named
from recipes.lab.results import describe_values, of_plain_commands

_HERE = Path(__file__).parent
_WIDTH = 80  # of a terminal


def main(argv=None) -> int:
    """List the recipes, or run the one that is named."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    terminal.prepare()
    if not arguments:
        if argv is None and hasattr(signal, "SIGPIPE"):
            # `python -m recipes | head` ends in silence.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        print_list()
        return 0
    name, *flags = arguments
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if name in (others := {f.__name__: f for f in (verify, compare, gallery)}):
        return others[name](flags)
    name = name.removeprefix("recipes.")
    if name.startswith("-"):
        return _refuse(f"{name} is a flag; the name of a recipe comes first.")
    if name not in names():
        close = difflib.get_close_matches(name, names(), cutoff=0.8)
        if len(name) > 2:
            longer = sorted((n for n in names() if name in n), key=len)
            close = longer or close
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        return _refuse(f"There is no recipe {name!r}.{hint}")
    # The very thing that `python -m recipes.NAME` does, so that the run writes
    # down the same command.
    sys.argv = ["", *flags]
    runpy.run_module(f"recipes.{name}", run_name="__main__", alter_sys=True)
    return 0  # a recipe has ended the process before, with its own code


def _refuse(reason: str) -> int:
    print(f"error: {reason} `python -m recipes` lists them.", file=sys.stderr)
    return 2


def verify(argv) -> int:
    """Score exports anew, and compare with their cards; see the help."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes verify",
        description="Score trained models on the test set, in every format "
        "that they have, and compare with what their cards say. Their "
        "SHA256SUMS are checked first; but a SavedModel is a program, which "
        "is run here, and sums do not say who wrote it.",
        epilog="Exit codes: 0 all numbers agree; 1 one differs, or an export "
        "is damaged; 2 usage; 3 the data are not here.",
    )
    parser.add_argument(
        "exports",
        nargs="*",
        metavar="EXPORT",
        help="name or path, as for zoo.load_model; none for all that ship",
    )
    parser.add_argument(
        "--data-dir", type=Path, help="where the data are, as for recipes"
    )
    parser.add_argument(
        "--dataset",
        help="the data of your own that the model was trained on, as for "
        "recipes",
    )
    parser.add_argument(
        "--offline", action="store_true", help="never touch the network"
    )
    arguments = parser.parse_args(argv)

    def score() -> int:
        from recipes.lab.export import scoring

        return scoring.main(
            arguments.exports,
            arguments.data_dir,
            arguments.offline,
            arguments.dataset,
        )

    return command.quietly(score)


def compare(argv) -> int:
    """Write a page that compares runs; see the help."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes compare",
        description="Put finished runs side by side, on one page that needs "
        "nothing beside it: results, learning curves over each other, and the "
        "settings that differ. Runs that differ in their seeds alone are one "
        "line, with its spread.",
        epilog="Exit codes: 0 done; 1 the page cannot be written; 2 usage.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="the folder of a run, or of all runs of a recipe, as a path or "
        "as its name below runs/: mnist_cnn/1 or mnist_cnn",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs", "comparison.html"),
        metavar="FILE",
        help="the page (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)

    def write() -> int:
        from recipes.lab.runs import comparing

        page = comparing.compare(arguments.runs, arguments.output)
        print(f"page  {terminal.link(page)}")
        return 0

    return command.quietly(write)


def gallery(argv) -> int:
    """Write a page with trained models; see the help."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes gallery",
        description="Put trained models on one page that needs nothing beside "
        "it: the number of each, a picture of what it does with the test set, "
        "and its formats with their size and speed.",
        epilog="Exit codes: 0 done; 1 an export is damaged, or the page "
        "cannot be written; 2 usage.",
    )
    parser.add_argument(
        "exports",
        nargs="*",
        metavar="EXPORT",
        help="name or path, as for zoo.load_model; none for all that ship",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs", "gallery.html"),
        metavar="FILE",
        help="the page (default: %(default)s)",
    )
    parser.add_argument(
        "--data-dir", type=Path, help="where the data are, as for recipes"
    )
    parser.add_argument(
        "--offline", action="store_true", help="never touch the network"
    )
    arguments = parser.parse_args(argv)

    def about(recipe: str) -> str:
        if recipe not in names():
            return ""
        module = importlib.import_module(f"recipes.{recipe}")
        return module.__doc__.partition("\n")[0]

    def write() -> int:
        from recipes.lab.export import gallery
        from recipes.lab.flags import RunOptions

        options = RunOptions(
            data_dir=arguments.data_dir, offline=arguments.offline
        )
        page = gallery.write(
            arguments.exports, arguments.output, options, about
        )
        print(f"page  {terminal.link(page)}")
        return 0

    return command.quietly(write)


def names() -> list[str]:
    """Return the names of the recipes."""
    return sorted(path.stem for path in _HERE.glob("[!_]*.py"))


def read_recipes() -> dict:
    """Import the recipes, which is cheap; return them by name."""
    return {
        name: importlib.import_module(f"recipes.{name}") for name in names()
    }


def print_list() -> None:
    """Print two lines for each recipe: result and time; what it is about."""
    results = of_plain_commands()
    rows = [("recipe", "test result", "seeds", "training", "")]
    for name, recipe in read_recipes().items():
        about = recipe.__doc__.partition("\n")[0]
        rows.append((name, *_describe(results.get(name)), about))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, result, seeds, time, about in rows:
        print(
            f"{name:<{widths[0]}}  {result:<{widths[1]}} "
            f"{seeds:>{widths[2]}} {time:>{widths[3]}}".rstrip()
        )
        print(textwrap.indent(textwrap.fill(about, _WIDTH - 2), "  "))
    print("\nRun one with `python -m recipes.NAME`; --help shows its flags.")


def _describe(row) -> tuple[str, str, str]:
    """Return a result, the number of its seeds, and its time: `9 s`."""
    if row is None:
        return "not measured yet", "", ""
    metric = named(row["metric"]).words.removeprefix("Test ")
    metric = metric.replace("Training", "train")
    seconds = float(row["train_seconds"])
    time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    return f"{metric} {describe_values(row)}", row["seeds"], time


if __name__ == "__main__":
    sys.exit(main())
