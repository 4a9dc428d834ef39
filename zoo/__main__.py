"""`python -m zoo` lists the models; `python -m zoo lenet5` shows one."""

import inspect
import math
import os
import sys


def main(argv=None) -> int:
    """Print the table of models, or one model's docstring and layers."""
    names = sys.argv[1:] if argv is None else argv
    if names and names[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if names and names[0].startswith("-"):
        print(f"Unknown flag {names[0]}. {__doc__}", file=sys.stderr)
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import zoo  # late, for the sake of --help: Keras takes seconds to import

    if not names:
        rows = [("model", "task", "parameters", "")]
        for name in zoo.list_models():
            info = zoo.model_info(name)
            rows.append((name, info.task, _parameters(name), info.summary))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, task, parameters, summary in rows:
            print(
                f"{name:<{widths[0]}}  {task:<{widths[1]}}  "
                f"{parameters:>{widths[2]}}  {summary}".rstrip()
            )
        return 0
    try:
        for name in names:
            info = zoo.model_info(name)
            print(f"{info.name}: {info.lecture} ({info.reference})\n")
            print(inspect.getdoc(info.builder), "\n")
            zoo.create_model(name).summary()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parameters(name) -> str:
    import zoo

    weights = zoo.create_model(name).trainable_weights
    return f"{sum(math.prod(weight.shape) for weight in weights):,}"


if __name__ == "__main__":
    sys.exit(main())
