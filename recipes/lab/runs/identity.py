"""What decides a run beside its flags and data: its code, and what it loads.

A run that was cut off resumes as what it was, or not at all. So the sums of the
files that it trains with are part of its settings, and those of the trained
model or the weights that it starts from.
"""

import ast
import functools
import hashlib
import inspect
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import zoo
from recipes.lab.data import own, sources
from recipes.lab.files import sha256
from recipes.lab.settings import describe_loaded
from zoo import _loading, transfer

# These record what was trained, and decide none of it.
_RECORDERS = (
    *("recipes/__init__.py", "recipes/lab/__init__.py"),
    *(f"recipes/lab/{name}.py" for name in ("command", "errors", "files")),
    *(f"recipes/lab/{name}.py" for name in ("flags", "metrics", "results")),
    *(f"recipes/lab/{name}.py" for name in ("settings", "terminal")),
    *(f"recipes/lab/{room}/" for room in ("export", "inputs")),
    *(f"recipes/lab/{room}/" for room in ("report", "runs")),
)
_NAMED = 3  # files that a sentence lists


def changes(present: dict, asked: dict) -> list[str]:
    """Return in words how code and loaded files differ from those of a run.

    Args:
        present: Settings of the run, as they were written down.
        asked: Settings of now.
    """
    if "source" not in present:
        return ["its code was not written down"]
    before, now = present["source"], asked["source"]
    files = sorted(
        file
        for file in before.keys() | now.keys()
        if before.get(file) != now.get(file)
    )
    found = []
    if files:
        more = len(files) - _NAMED
        named = ", ".join(files[:_NAMED]) + (f" and {more} more" * (more > 0))
        found.append(f"{named} {'have' if files[1:] else 'has'} changed")
    before, now = (describe_loaded(s["loaded"]) for s in (present, asked))
    if before != now:
        found.append(f"{before or 'nothing'} became {now or 'nothing'}")
    return found


# --- what is loaded ------------------------------------------------------


def loaded(names: Iterable[str | None]) -> list[dict]:
    """Return name, version and sum of what a run starts from.

    Args:
        names: Backbones as for `zoo.create_model("transfer_classifier")`, and
            files of weights. Networks that have no weights yet are passed over,
            and so is what does not exist: whoever loads it will say so.
    """
    found = []
    for name in filter(None, names):
        if _is_export(name):
            found.append(_loading.describe_export(name))
        elif Path(name).is_file():
            file = Path(name)
            found.append({"name": file.name, "sum": sha256(file)})
    return found


def _is_export(name: str) -> bool:
    try:
        return transfer._kind_of(name) == "export"
    except ValueError:
        return False


# --- the code ------------------------------------------------------------


def source(config, caller: FrameType, is_own: bool = False) -> dict[str, str]:
    """Return a sum of the code in each file that a run trains with.

    These are the recipe's file and all that it imports, directly or not, from
    `recipes`, from `zoo` and from its own package or folder; but for what only
    records the result. Comments, docstrings and layout do not count.

    Args:
        config: The recipe's Config.
        caller: The frame of its `train`. Where that is in no file, as in a
            notebook, the functions count that it calls by name.
        is_own: Whether the data are a user's own.

    Returns:
        Path of the file, as seen from where its package lies, to the sum.
    """
    module = sys.modules[type(config).__module__]
    files = [caller.f_code.co_filename, getattr(module, "__file__", None)]
    # What `open_run` has called for it.
    files.append(own.__file__ if is_own else sources.__file__)
    pending = [Path(f).resolve() for f in files if f and os.path.isfile(f)]
    packages = {
        "zoo": _home(Path(zoo.__file__)),
        "recipes": _home(Path(__file__)),
    }
    beside = []
    for file in pending:
        home = _home(file)
        if file.parent == home:
            beside.append(home)
        else:
            packages.setdefault(file.relative_to(home).parts[0], home)

    sums, files, imports = {}, set(), set()  # each is looked at once
    while pending:
        file = pending.pop()
        if file in files:
            continue
        files.add(file)
        home = _home(file)
        key = file.relative_to(home).as_posix()
        if key.startswith(_RECORDERS):
            continue
        status = file.stat()
        sums[key], names = _read(file, home, status.st_mtime_ns, status.st_size)
        for name in names:
            top = name.partition(".")[0]
            for place in [packages[top]] if top in packages else beside:
                if (name, place) not in imports:
                    imports.add((name, place))
                    pending += _files_of(name, place)
    if not os.path.isfile(caller.f_code.co_filename):
        sums |= _sums_of_functions(caller)
    return sums


def _home(file: Path) -> Path:
    """Return the folder from which a file is imported."""
    folder = file.resolve().parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def _files_of(name: str, home: Path) -> Iterator[Path]:
    """Yield the files that an import of `a.b.c` runs, where they exist."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = home.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                yield file


@functools.cache
def _read(file: Path, home: Path, *version: int) -> tuple[str, tuple[str, ...]]:
    """Return the sum of a file's code, and the names of what it imports."""
    content = file.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # whoever imports it will say so
        return _sum(content), ()
    package = file.relative_to(home).parts[:-1]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = len(package) + 1 - node.level if node.level else 0
            base = [*package[:above], *filter(None, [node.module])]
            names += [".".join([*base, alias.name]) for alias in node.names]
    return _sum(_code(tree)), tuple(names)


def _sums_of_functions(frame: FrameType) -> dict[str, str]:
    """Return the sums of a function and of those that it calls by name."""
    sums = {}
    pending = [frame.f_code]
    while pending:
        code = pending.pop()
        key = f"{code.co_name}()"
        if key in sums:
            continue
        try:
            text = textwrap.dedent(inspect.getsource(code))
            sums[key] = _sum(_code(ast.parse(text)))
        except (OSError, TypeError, SyntaxError):
            continue  # typed where nobody keeps what is typed
        for name in _names_in(code):
            function = frame.f_globals.get(name)
            if (
                isinstance(function, FunctionType)
                and function.__globals__ is frame.f_globals
            ):
                pending.append(function.__code__)
    return sums


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names that a function looks up, and those within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node):  # noqa: D102, N802
        value = getattr(node.value, "value", None)
        is_text = isinstance(node.value, ast.Constant) and type(value) is str
        return None if is_text else node


def _code(tree: ast.AST) -> bytes:
    """Return code as Python itself would write it, without docstrings."""
    return ast.unparse(_WithoutDocstrings().visit(tree)).encode()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
