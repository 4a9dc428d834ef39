"""Find an export, check its sums, load its Keras model.

Only to load one needs Keras, whose import takes seconds: commands that ask
LiteRT find their export without it.
"""

import difflib
import hashlib
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import _sources

if TYPE_CHECKING:
    import keras

LOCAL = Path("saved_models")
# In a checkout and in an installed wheel alike, the trained models that ship
# are beside the package; a file SHIPPED in their folder lists them.
SHIPPED = Path(__file__).resolve().parent.parent / "saved_models"
SUMS = "SHA256SUMS"
LARGEST_SUMS = 1 << 20  # thousands of files
# The largest networks of keras.applications have 1.4 GB of weights.
LARGEST_FILE = 4 << 30

# What TensorFlow, its server and other runtimes read of a folder that holds a
# model, whether or not it was there when the sums were written,
READ = (
    *("*.pb", "*.pbtxt", "*.cpb", "*.keras", "*.onnx", "*.tflite"),
    *("assets/*", "assets.extra/*", "debug/*", "variables/*"),
)
# and what operating systems, editors and hubs leave anywhere, and nobody reads.
LITTER = (
    *(".*", "*/.*", "__MACOSX/*", "*Thumbs.db", "*desktop.ini"),
    *("*~", "*.bak", "*.orig", "*.swp", "#*#", "*/#*#"),
)
UNREAD = "README.md"  # of what has a sum


def load_model(name, *, verbose=True) -> "keras.Model":
    """Load a trained model from an export, once its sums have been checked.

    The sums prove that the export is whole and unchanged since it was written,
    not who wrote it: whoever changes a model can write new sums. So an export
    is not trusted because its sums are right:

    - Only what Keras itself writes is opened, in its safe mode.
    - The model may consist of Keras' layers that run no program and read no
      file, and of what this process has registered with Keras. Of `keras.ops`,
      `+`, `-`, `*` and `/` may stand alone; others belong in a layer.
    - It is uncompiled, keeps no state between batches, has at most 1,500 layers
      (100 in a `Sequential`), and shares none with a model inside it.
    - Loading takes a few times the memory that `model.keras` takes on the disk,
      and at worst some hundred megabytes for its configuration.
    - Weights that are not finite are refused.

    Not checked: whether answers are right, how much computation they take, how
    long Keras needs to build the model (minutes at worst), and bugs in Keras or
    HDF5. Load what a stranger made in a process that you can spare. A
    SavedModel is a program: nothing here makes it safe to run.

    Args:
        name: A name, such as `"mnist_cnn"` or `"mnist_cnn:2"` for its second
            version, looked up in `./saved_models` and then among the models
            that ship with the package; `"mnist_cnn@shipped"` or
            `"mnist_cnn@shipped:1"` for one that ships, whatever was trained
            here; or the path of an export, of the folder of its versions or
            of its `model.keras`. Without a version the highest one is taken.
        verbose: Say on standard error which export is loaded, and which files
            in its folder have no right sum and are passed over, for nothing
            reads them: its README, and what systems, editors and hubs leave.

    Returns:
        An uncompiled `keras.Model` that takes raw pixels, 0 to 255, and warns
        once of pixels that were divided by 255. One that writes answers to
        plain texts, too: `zoo.generate_text(model, texts)`. Of an autoencoder,
        `zoo.feature_extractor(model)` takes raw pixels, too, and returns codes;
        `model.get_layer("decoder")` takes codes. `model.get_layer("encoder")`
        comes after the rescaling and takes pixels in [0, 1].

    Raises:
        FileNotFoundError: If there is no such export.
        ValueError: If the export is damaged, was changed, is not one of this
            package's, or holds something else than a model of finite weights.

    Example:
    >>> model = zoo.load_model("mnist_cnn")
    >>> model.predict(images)  # raw pixels: do not divide by 255
    """
    from zoo import _archive, _pixels

    export = find_export(name)
    passed_over = check_sums(export)
    if verbose:
        print(f"Loading {export}{_shadowed(export)}", file=sys.stderr)
        if passed_over:
            print(f"Passing over {_first(passed_over)}", file=sys.stderr)
    return _pixels.watch(_archive.load(export / "model.keras"))


def find_export(name) -> Path:
    """Return the version folder that `load_model(name)` would load."""
    path = Path(name)
    if (path / SUMS).is_file():
        return path
    if path.is_file() and (path.parent / SUMS).is_file():
        return path.parent
    if path.is_dir() and _versions(path):
        return _versions(path)[-1]
    family, place, wanted = _parts(str(name))
    for versions_of in [_shipped] if place else [_local, _shipped]:
        versions = versions_of(family)
        found = [v for v in versions if wanted in ("", v.name)] or [
            v for v in versions if wanted.lstrip("0") == v.name.lstrip("0")
        ]
        if found:
            return found[-1]
    if path.is_file():
        raise ValueError(
            f"{name} is in no export of this package: there is no {SUMS} "
            "beside it. Keras models saved elsewhere load with "
            "keras.saving.load_model."
        )
    if path.is_dir():
        raise ValueError(
            f"{name} is not an export of this package: it holds neither a "
            f"{SUMS} nor numbered versions."
        )
    there = dict.fromkeys(f"{v.parent.name}:{v.name}" for v in _all_versions())
    if name in [model for model, *_ in _sources.read_models()]:
        trained = [export for export in there if f"_{name}:" in export]
        hint = f" Trained ones: {', '.join(trained)}." if trained else ""
        raise FileNotFoundError(
            f"{name!r} is a network to train and no trained one: "
            f"zoo.create_model({name!r}) builds it.{hint}"
        )
    close = difflib.get_close_matches(family, families())
    hint = f"There is: {', '.join(there) or 'none yet'}."
    if close:
        near = [one for one in there if one.partition(":")[0] in close]
        hint = f"Did you mean {' or '.join(near)}?"
    raise FileNotFoundError(
        f"No export named {str(name)!r} in {LOCAL.resolve()} or among the "
        f"models that ship with the package. {hint} Give a name that is there "
        "or the path of an export, or train the model first; `python -m "
        "recipes` lists the recipes."
    )


def _shadowed(export: Path) -> str:
    """Return what to add where a local export hides one that ships."""
    family = export.parent.name
    if LOCAL / family != export.parent:
        return ""
    shipped = [version.resolve() for version in _shipped(family)]
    if not shipped or export.resolve() in shipped:
        return ""
    return f" ({family}@shipped is the one that ships with the package)"


def describe_export(name) -> dict[str, str | None]:
    """Return what tells an export from all others, for the records of a run.

    Args:
        name: As for `load_model`.

    Returns:
        `name`, that of the export's family; `version`, or None for an export
        that is in no numbered folder; and `sum`, the SHA-256 of its
        `model.keras`, which is what is loaded: a card may be written anew.
    """
    export = find_export(name)
    family, version = export.resolve().parts[-2:]
    if not version.isdecimal():
        family, version = version, None
    digest = _sha256(export / "model.keras")
    return {"name": family, "version": version, "sum": digest}


def shipped_exports() -> list[str]:
    """Return the exports that ship with the package, such as `"mnist_cnn/1"`.

    In a checkout, recipes write theirs beside them.
    """
    try:
        return (SHIPPED / "SHIPPED").read_text().split()
    except FileNotFoundError:
        return []


def _parts(name: str) -> tuple[str, str, str]:
    """Split `family@shipped:version`; all but the family may be missing."""
    rest, _, version = name.partition(":")
    family, _, place = rest.partition("@")
    if "/" in name:  # of a path, "@" is a part
        return rest, "", version
    if "@" in version or rest not in (family, f"{family}@shipped"):
        raise ValueError(
            "Only `@shipped` may follow the name of an export, and a version "
            f"comes last: {family}@shipped or {family}@shipped:1. "
            f"Received: {name!r}"
        )
    return family, place, version


def _local(family: str) -> list[Path]:
    return _versions(LOCAL / family)


def _shipped(family: str) -> list[Path]:
    listed = shipped_exports()
    return [
        version
        for version in _versions(SHIPPED / family)
        if f"{family}/{version.name}" in listed
    ]


def families() -> list[str]:
    """Return the names of all exports, without their versions."""
    return list(dict.fromkeys(v.parent.name for v in _all_versions()))


def _all_versions() -> list[Path]:
    local = [v for folder in _folders(LOCAL) for v in _local(folder)]
    return local + [v for name in _folders(SHIPPED) for v in _shipped(name)]


def check_sums(export: Path) -> list[str]:
    """Compare the files of an export with its `SHA256SUMS`.

    Returns:
        The files that differ from what the sums say, and that nothing reads:
        `".DS_Store, which was added"`.

    Raises:
        ValueError: If another file is missing, was changed or was added.
    """
    try:
        if not (export / SUMS).is_file():  # a pipe would be waited for
            raise FileNotFoundError
        with open(export / SUMS) as file:
            lines = file.read(LARGEST_SUMS).splitlines()
        expected = dict(reversed(line.split("  ", 1)) for line in lines)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{export} is not an export of this package: it has no readable "
            f"{SUMS}. Keras models saved elsewhere load with "
            "keras.saving.load_model."
        ) from error
    present = {
        path.relative_to(export).as_posix()
        for path in export.rglob("*")
        if path.is_file() and path != export / SUMS
    }
    passed_over = []
    for file in sorted(present | set(expected)):
        if file not in expected:
            problem = "was added"
        elif file not in present:
            problem = "is missing"
        elif (export / file).stat().st_size > LARGEST_FILE:
            problem = f"grew beyond {LARGEST_FILE:,} bytes"
        elif _sha256(export / file) != expected[file]:
            problem = "was changed"
        else:
            continue
        if file == UNREAD or (file not in expected and not _is_read(file)):
            shown = file if file.isprintable() else ascii(file)
            passed_over.append(f"{shown}, which {problem}")
            continue
        raise ValueError(
            f"{export} is damaged: {file} {problem} after it was written. "
            "Nothing was loaded. Take a fresh copy of the export, or train it "
            "again."
        )
    if "model.keras" not in expected:
        raise ValueError(f"{export} holds no model.keras; is it an export?")
    return passed_over


def _is_read(file: str) -> bool:
    """Say whether anything may read a file that has no sum."""
    if any(fnmatchcase(file, pattern) for pattern in LITTER):
        return False
    return any(fnmatchcase(file, pattern) for pattern in READ)


def _first(items: list[str], count: int = 5) -> str:
    """Return the first items in words, and how many there are besides."""
    more = f"; and {len(items) - count} more" if len(items) > count else ""
    return "; ".join(items[:count]) + more


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(place: Path) -> list[str]:
    return sorted(path.name for path in place.glob("*"))


def _versions(family: Path) -> list[Path]:
    """Return the numbered folders in a folder, the lowest first."""
    if not family.is_dir():
        return []
    return sorted(
        (
            path
            for path in family.iterdir()
            if path.name.isdecimal() and path.is_dir()
        ),
        key=lambda path: (int(path.name), -len(path.name)),  # 1 beats 0001
    )
