"""`python -m zoo` lists the models; `python -m zoo lenet5` shows one."""

import inspect
import math
import sys

import zoo


def main(argv=None) -> int:
    """Print the table of models, or some models' docstrings and layers."""
    names = sys.argv[1:] if argv is None else argv
    if names and names[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if names and names[0].startswith("-"):
        print(f"Unknown flag {names[0]}. {__doc__}", file=sys.stderr)
        return 2
    try:
        for name in names:
            info = zoo.model_info(name)
            print(f"{info.name}: {info.lecture} ({info.reference})\n")
            print(inspect.getdoc(info.builder), "\n")
            zoo.create_model(name).summary(expand_nested=True)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not names:
        print_table()
    return 0


def print_table() -> None:
    """Print a line for each model: task, trainable parameters, summary."""
    rows = [("model", "task", "parameters", "")]
    for name in zoo.list_models():
        info = zoo.model_info(name)
        weights = zoo.create_model(name).trainable_weights
        parameters = sum(math.prod(weight.shape) for weight in weights)
        rows.append((name, info.task, f"{parameters:,}", info.summary))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, task, parameters, summary in rows:
        print(
            f"{name:<{widths[0]}}  {task:<{widths[1]}}  "
            f"{parameters:>{widths[2]}}  {summary}".rstrip()
        )


if __name__ == "__main__":
    sys.exit(main())
