"""What the sources say of the models: to import Keras takes seconds."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent


def read_models() -> list[tuple[str, str, str, str]]:
    """Return name, task, trainable parameters and summary of each model.

    They come in the order of `zoo/__init__.py`.
    """
    models = []
    for node in ast.walk(_parse(HERE / "__init__.py")):
        if isinstance(node, ast.ImportFrom):
            family = node.module.removeprefix("zoo.")
            builders = _read_builders(HERE / f"{family}.py")
            names = [alias.name for alias in node.names]
            models += [builders[name] for name in names if name in builders]
    return models


def read_chart() -> dict[str, list[str]]:
    """Return the names of the models of each network of the chart.

    The keys are the short names of those networks that have one.
    """
    found = {}
    for node in ast.walk(_parse(HERE / "__init__.py")):
        if not isinstance(node, ast.ImportFrom):
            continue
        family = node.module.removeprefix("zoo.")
        of_chart = _read_chart(HERE / f"{family}.py")
        for alias in node.names:
            for short in of_chart.get(alias.name, ()):
                found.setdefault(short, []).append(alias.name)
    return found


def _read_chart(source: Path) -> dict[str, tuple[str, ...]]:
    """Return what the builders of a file are on the chart, by their names."""
    return {
        node.name: ast.literal_eval(keyword.value)
        for node in _parse(source).body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
        if keyword.arg == "chart"
    }


def _read_builders(source: Path) -> dict[str, tuple[str, str, str, str]]:
    """Return what `read_models` returns of the models of one file."""
    builders = {}
    for node in _parse(source).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            call = ast.unparse(decorator)
            if task := re.match(r"register_model\(task='(\w+)'", call):
                docstring = ast.get_docstring(node)
                summary = docstring.partition("\n")[0]
                [total] = re.findall(r"^\| sum .*?([\d,]+)", docstring, re.M)
                builders[node.name] = (node.name, task[1], total, summary)
    return builders


def _parse(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))
