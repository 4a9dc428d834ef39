"""A folder of pictures: one folder for each class, perhaps split already."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.lab.errors import DataError

READ = (".png", ".jpg", ".jpeg")
# Pictures, too: to pass over these in silence would lose a part of the data.
UNREAD = (
    *(".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"),
    *(".jp2", ".ppm", ".pgm", ".dng", ".cr2", ".nef", ".svg"),
)
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
NAMED = 3  # files or classes that a sentence lists


class Listing(NamedTuple):
    """What is in a folder.

    Attributes:
        files: Paths within the folder, sorted.
        labels: The number of each one's class, int32 `(n,)`.
        class_names: Names of the classes, sorted.
        parts: Whether each is for `train`, `validation` or `test`; None if
            the folder does not say.
        passed_over: Files that are no pictures, or in no class; and folders
            with nothing in them.
        fingerprint: SHA-256 of names, sizes and times of the files.
    """

    files: list[str]
    labels: np.ndarray
    class_names: tuple[str, ...]
    parts: np.ndarray | None
    passed_over: list[str]
    fingerprint: str


def scan(folder: Path) -> Listing:
    """List the pictures of a folder, without looking into them.

    - The classes are the folders in it; or in its folders `train`,
      `validation` or `val`, and `test`, where there is `train` and another.
    - Pictures lie in them at any depth. Hidden files and folders are none.

    Raises:
        DataError: If there are fewer than two classes, or pictures in formats
            that are not read.
    """
    try:
        top = _folders(folder)
        kinds = {name: _PARTS.get(name.lower()) for name in top}
        splits = {"train"} < {*filter(None, kinds.values())}
        homes = {None: folder}
        if splits:
            homes = {kind: folder / name for name, kind in kinds.items()}
            if len(homes) < len(kinds):
                raise DataError(
                    f"{folder} has two folders for one part of the data. "
                    f"Received: {', '.join(top)}"
                )
            homes.pop(None, None)
        rows, passed_over, unread = [], [], []
        for part, home in homes.items():
            passed_over += _strays(home, folder)
            for name in _folders(home):
                found = _pictures(home / name, folder)
                rows += [(file, name, part, stat) for file, stat in found[0]]
                passed_over += found[1]
                unread += found[2]
                if not any(found):
                    empty = (home / name).relative_to(folder)
                    passed_over.append(f"{empty.as_posix()}/")
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read: {error.strerror}"
        ) from error
    if splits:
        passed_over += [name for name, kind in kinds.items() if not kind]
    if unread:
        raise DataError(
            f"{folder} has pictures in formats that are not read: "
            f"{first(sorted(unread))}. Convert them to PNG or JPEG, or move "
            "them away."
        )
    rows.sort()
    class_names = sorted({name for _, name, _, _ in rows})
    _check(folder, class_names, rows, homes, passed_over)
    numbers = {name: number for number, name in enumerate(class_names)}
    digest = hashlib.sha256()
    for file, _, _, stat in rows:
        line = f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return Listing(
        files=[file for file, _, _, _ in rows],
        labels=np.array([numbers[name] for _, name, _, _ in rows], "int32"),
        class_names=tuple(class_names),
        parts=np.array([part for _, _, part, _ in rows]) if splits else None,
        passed_over=passed_over,
        fingerprint=digest.hexdigest(),
    )


def first(items: list[str]) -> str:
    """Return the first items in words, and how many there are besides."""
    more = len(items) - NAMED
    named = ", ".join(items[:NAMED])
    return f"{named} and {more:,} more" if more > 0 else named


def _check(folder, class_names, rows, homes, passed_over) -> None:
    """Refuse what is no folder of class folders, and say what would be."""
    should = "It must have a folder for each class, with PNG or JPEG pictures."
    if not class_names:
        loose = [n for n in passed_over if n.lower().endswith(READ)]
        what = "no pictures"
        if loose:
            what = f"pictures, but no class folders ({first(loose)})"
        raise DataError(f"{folder} has {what}. {should}")
    if len(class_names) == 1:
        [home] = {*homes.values()} if len(homes) == 1 else [folder]
        inner = _folders(home / class_names[0])
        hint = ""
        if len(inner) > 1 and len(homes) == 1:
            hint = f" Did you mean {home / class_names[0]}?"
        raise DataError(
            f"{folder} has one class folder with pictures, {class_names[0]}, "
            f"and there is nothing to tell it from.{hint} {should}"
        )
    check_names(class_names, f"the class folder {{}} in {folder}")
    trained = {name for _, name, part, _ in rows if part in (None, "train")}
    if missing := sorted({*class_names} - trained):
        raise DataError(
            f"{folder} has classes without training pictures: "
            f"{first(missing)}. Each class needs a folder in train, too."
        )


def check_names(class_names, what: str) -> None:
    """Refuse classes that no model can answer with.

    Args:
        class_names: Their names.
        what: What to call one in an error, with {} for its name.

    Raises:
        DataError: Names the first.
    """
    seen = set()
    for name in class_names:
        if not name.isprintable() or not _is_text(name):
            raise DataError(
                f"The name of {what.format(ascii(name))} is no plain text. "
                "Rename it: models answer with it."
            )
        if name in seen:
            raise DataError(
                f"The name of {what.format(repr(name))} is that of another, "
                "too. Rename one: models answer with them."
            )
        seen.add(name)


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in (
        *("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"),
    )


def _folders(home: Path) -> list[str]:
    with os.scandir(home) as entries:
        return sorted(
            e.name for e in entries if e.is_dir() and not _hidden(e.name)
        )


def _strays(home: Path, folder: Path) -> list[str]:
    """Return the files beside the class folders."""
    with os.scandir(home) as entries:
        names = [e.name for e in entries if e.is_file() and not _hidden(e.name)]
    place = home.relative_to(folder)
    return [(place / name).as_posix() for name in sorted(names)]


def _pictures(home: Path, folder: Path):
    """Return the pictures in a class folder, and what else is there.

    Returns:
        Path within the folder and `os.stat` of each picture; paths of files
        that are none; and of pictures that are not read.
    """
    pictures, others, unread = [], [], []
    pending = [home]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                suffix = os.path.splitext(entry.name)[1].lower()
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    continue
                name = os.path.relpath(entry.path, folder)
                if suffix in READ and entry.is_file():
                    pictures.append((name, entry.stat()))
                else:
                    (unread if suffix in UNREAD else others).append(name)
    return pictures, others, unread
