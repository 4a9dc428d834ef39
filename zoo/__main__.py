"""Look at the models of the zoo, and ask those that are trained.

python -m zoo             lists the models
python -m zoo lenet5      shows one: its docstring and its layers
python -m zoo --lectures  goes through the course: networks in the order of
                          teaching, the command that trains each, what it
                          reaches and what the lectures say of it
python -m zoo --chart     lists the 27 networks of van Veen's chart, their
                          cells, and the models that are such networks

Of trained models, and with a --help of their own:

python -m zoo predict     answers to picture files
python -m zoo serve       answers over HTTP
python -m zoo playground  shows on a page what they make of a drawn digit
"""

import codecs
import difflib
import importlib
import inspect
import io
import signal
import sys
import textwrap
import unicodedata
from pathlib import Path

from zoo._chart import CHARTS
from zoo._quiet import open_closed_streams, quiet
from zoo._sources import read_chart, read_models

WIDTH = 80  # of a terminal
COURSE = Path(__file__).with_name("course.txt")
# Files of this package whose `main` is a command; no model has such a name.
COMMANDS = {
    "playground": "zoo._playground.playground",
    "predict": "zoo._predict",
    "serve": "zoo._serve",
}


def main(argv=None) -> int:
    """Print the table of models, or some models' docstrings and layers."""
    names = sys.argv[1:] if argv is None else argv
    open_closed_streams()
    codecs.register_error("plainly", _plainly)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a notebook's is another
        sys.stdout.reconfigure(errors="plainly")
    if names and names[0] in COMMANDS:
        return importlib.import_module(COMMANDS[names[0]]).main(names[1:])
    if names and names[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if len(names) > 1 and {"--lectures", "--chart"} & {*names}:
        print(
            "--lectures and --chart stand alone. Received: " + " ".join(names),
            file=sys.stderr,
        )
        return 2
    if names == ["--lectures"]:
        print(COURSE.read_text(encoding="utf-8"), end="")
        return 0
    if names == ["--chart"]:
        print_chart()
        return 0
    if names and names[0].startswith("-"):
        print(f"Unknown flag {names[0]}. {__doc__}", file=sys.stderr)
        return 2
    if not names:
        print_table()
        return 0
    with quiet():
        import zoo

        if not hasattr(zoo, "create_model"):  # see there
            importlib.reload(zoo)
    try:
        for info in [zoo.model_info(name) for name in names]:
            with quiet():
                model = zoo.create_model(info.name)
            facts = f"{info.name}: {info.lecture} ({info.reference})"
            print(textwrap.fill(facts, WIDTH), "\n")
            print(inspect.getdoc(info.builder), "\n")
            print("Other arguments: see help(zoo.create_model).\n")
            model.summary(line_length=WIDTH, expand_nested=True)
    except ValueError as error:
        words = str(error)
        if len(names) == 1:
            near = difflib.get_close_matches(names[0], COMMANDS, 1)
            words += f" Did you mean the command {near[0]}?" if near else ""
        print(words, file=sys.stderr)
        return 2
    return 0


def print_table() -> None:
    """Print task, trainable parameters and summary of each model."""
    models = read_models()
    rows = [("model", "task", "parameters"), *(row[:3] for row in models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    summaries = ["", *(row[3] for row in models)]
    for (name, task, parameters), summary in zip(rows, summaries, strict=True):
        print(
            f"{name:<{widths[0]}}  {task:<{widths[1]}}  "
            f"{parameters:>{widths[2]}}"
        )
        if summary:
            print(textwrap.indent(textwrap.fill(summary, WIDTH - 4), "    "))


def print_chart() -> None:
    """Print the networks of the chart, with their cells and their models."""
    models = read_chart()
    for network in CHARTS["2016"]:
        print(f"{network.short:<7}{network.name}")
        cells = ", ".join(cell.value for cell in network.cells)
        built = ", ".join(models.get(network.short, ["no model yet"]))
        for line in (f"cells: {cells}", f"models: {built}"):
            print(textwrap.indent(textwrap.fill(line, WIDTH - 7), " " * 7))


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Return what to write for characters that a terminal does not have."""
    if not isinstance(error, UnicodeEncodeError):
        return codecs.replace_errors(error)
    plain = {"×": "x", "±": "+-", "└": "`", "√": "sqrt", "λ": "lambda"}
    text = error.object[error.start : error.end]
    for character in text:
        # An accent falls off its letter.
        letter = unicodedata.normalize("NFKD", character)[0]
        plain.setdefault(character, letter if letter.isascii() else "?")
    return "".join(plain[character] for character in text), error.end


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # `python -m zoo | head` ends in silence
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
