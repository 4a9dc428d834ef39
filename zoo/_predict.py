"""`python -m zoo predict`: a trained classifier's answers to picture files.

Pillow decodes and LiteRT answers, without Keras or TensorFlow, so that the
command starts in a quarter of a second. Files come from a generator and answers
leave as they come, so that a million take the memory of a hundred; only the
names in one folder are there together, to be sorted.
"""

import argparse
import collections
import concurrent.futures.process
import contextlib
import hashlib
import itertools
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo import _digits, _loading, _pictures, _predictor, _runtimes
from zoo._answers import Answer, Bar, Csv, Table
from zoo._quiet import quiet

ALONE = 0.5  # seconds; what takes longer is shared among processes
STRIDE = 0.02  # seconds that the files take which are handed over together
BLOCK = 1_024  # files that Ray hands over together
AHEAD = 4  # times that, which a process is given in advance
DIGITS = {*"0123456789"}

DESCRIPTION = """\
Ask a trained classifier about pictures: PNG, JPEG, GIF, BMP or WebP files.

A picture is read as the export's signature image_bytes reads it: turned
upright, grey for a model of grey images, resized to the model's size. A file
that cannot be answered is a row that says why."""
EXITS = """\
Exit codes: 0 all answered; 1 some failed, or the answers cannot be written;
2 usage; 3 no pictures; 130 interrupted; 143 terminated."""


class Question(NamedTuple):
    """What is asked about every picture.

    Attributes:
        export: The folder of the export.
        format: A key of `zoo._runtimes.FORMATS`.
        top: How many classes to name, the likeliest first.
        like_mnist: Whether to prepare pictures as `zoo.prepare_digit` does.
    """

    export: str
    format: str = "litert"
    top: int = 1
    like_mnist: bool = False

    def mark(self) -> str:
        """Return some letters that tell this question from all others."""
        sums = (Path(self.export) / _loading.SUMS).read_bytes()
        whole = repr((sums, *self[1:])).encode()
        return hashlib.sha256(whole).hexdigest()[:8]


class Classifier:
    """An export that answers to picture files.

    Attributes:
        labels: The names of its classes.
        is_of_digits: Whether these are digits, and it sees what MNIST has.

    Raises:
        FileNotFoundError: If the export does not have the format.
        ModuleNotFoundError: If a package is not installed.
        ValueError: If the model cannot be asked that.
    """

    def __init__(self, question: Question):
        export, format, self._top, self._like_mnist = question
        self._predict = _predictor.load_predictor(export, format=format)
        [*arguments] = self._predict.arguments.values()
        shape = arguments[0].shape[1:]
        if len(arguments) > 1 or len(shape) != 3 or shape[-1] not in (1, 3):
            raise ValueError(
                f"{export} takes {', '.join(self._predict.arguments)} and no "
                "pictures; zoo.load_predictor asks it."
            )
        labels = Path(export) / "assets" / "labels.txt"
        if "probabilities" not in self._predict.outputs or not labels.exists():
            raise ValueError(
                f"{export} is no classifier: it answers with "
                f"{', '.join(self._predict.outputs)}; zoo.load_predictor asks "
                "it."
            )
        self._shape = shape
        text = labels.read_text("utf-8")
        self.labels = text.removesuffix("\n").split("\n")
        if not 1 <= self._top <= len(self.labels):
            raise ValueError(
                f"--top must be 1 to {len(self.labels)}, the number of "
                f"classes. Received: {self._top}"
            )
        with quiet():  # LiteRT says what it has chosen when it is first asked
            self._predict(np.zeros((1, *shape), np.uint8))
        self.is_of_digits = shape == (28, 28, 1) and DIGITS >= {*self.labels}
        if self._like_mnist and not self.is_of_digits:
            raise ValueError(
                "--like-mnist prepares digits, and the classes of "
                f"{export} are {', '.join(self.labels)}."
            )

    def answer(self, files: list[str]) -> list[Answer]:
        """Return the answer to each file, which may be an error."""
        answers = [Answer()] * len(files)
        places, pictures = [], []
        for place, file in enumerate(files):
            try:
                pictures.append(self._read(file))
                places.append(place)
            except (OSError, ValueError, MemoryError) as error:
                words = getattr(error, "strerror", None) or str(error)
                words = " ".join(words.split()) or "out of memory"
                answers[place] = Answer(error=words)
        if not pictures:
            return answers
        pixels = np.stack(pictures)
        probabilities = self._predict(pixels)["probabilities"]
        order = np.argsort(-probabilities, axis=1, kind="stable")
        order = order[:, : self._top]
        found = np.take_along_axis(probabilities, order, axis=1).tolist()
        light = (pixels.mean(axis=(1, 2, 3)) > 127.5).tolist()
        for place, ranks, values, is_light in zip(
            places, order.tolist(), found, light, strict=True
        ):
            names = [self.labels[rank] for rank in ranks]
            answers[place] = Answer(names, values, "", is_light)
        return answers

    def _read(self, file):
        if self._like_mnist:
            return _digits.prepare_digit(file)
        return _pictures.read(file, self._shape)


def find_pictures(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files that are meant.

    A folder is searched for pictures, by their extensions and in the order of
    their names, and then so are the folders in it; hidden ones are passed over.
    Other paths are yielded as they are, and so are folders that cannot be read.
    """
    for path in paths:
        folders = [path] if os.path.isdir(path) else []
        if not folders:
            yield path
        while folders:
            folder = folders.pop()
            files, inner = [], []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            inner.append(entry.name)
                        elif entry.name.lower().endswith(_pictures.EXTENSIONS):
                            files.append(entry.name)
            except OSError:
                yield folder
                continue
            for name in sorted(files):
                yield os.path.join(folder, name)
            inner.sort(reverse=True)
            folders += [os.path.join(folder, name) for name in inner]


def answer_all(
    files: Iterable[str], classifier: Classifier, question: Question
) -> Iterator[tuple[list[str], list[Answer]]]:
    """Yield files and their answers, in order and some at a time.

    What takes longer than a moment is shared among as many processes as there
    are processors: Python decodes on one of them only.
    """
    files, count = iter(files), 1
    started = now = time.monotonic()
    while now - started < ALONE or _processors() == 1:
        some = [*itertools.islice(files, count)]
        if not some:
            return
        began = time.monotonic()
        answers = classifier.answer(some)
        now = time.monotonic()
        # A photo may take as long as a thousand small pictures.
        count = int(len(some) * STRIDE / max(now - began, 1e-6))
        count = min(max(count, 1), _predictor.AT_ONCE)
        yield some, answers
    yield from _answer_together(files, question, count)


def _answer_together(files, question, count):
    processes = _processors()
    others = {*multiprocessing.active_children()}
    with concurrent.futures.ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        _start,
        [question],
    ) as pool:
        try:
            with _unheard():  # all of them start now
                waiting = [pool.submit(_answer, []) for _ in range(processes)]
            ahead = collections.deque(([], answer) for answer in waiting)
            while some := [*itertools.islice(files, count)]:
                ahead.append((some, pool.submit(_answer, some)))
                if len(ahead) > AHEAD * processes:
                    some, answers = ahead.popleft()
                    yield some, answers.result()
            for some, answers in ahead:
                yield some, answers.result()
        except BaseException:
            if hasattr(signal, "SIGPIPE"):  # the pool still writes to them
                signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            for process in {*multiprocessing.active_children()} - others:
                process.terminate()
            raise


@contextlib.contextmanager
def _unheard():
    """Hear Ctrl-C and SIGTERM afterwards only.

    A process that is being started and has not got its work yet would be left
    alone. To block them is not enough: another thread would hear them, and
    Python tell this one. But what is blocked is inherited, and so those that
    start meanwhile never hear Ctrl-C, which reaches them, too, and is for us.
    """
    heard, before = [], {}
    if threading.current_thread() is threading.main_thread():
        for kind in (signal.SIGINT, signal.SIGTERM):
            handler = signal.signal(kind, lambda kind, _: heard.append(kind))
            before[kind] = handler or signal.SIG_DFL
    mask = None
    if hasattr(signal, "pthread_sigmask"):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for kind, handler in before.items():
            signal.signal(kind, handler)
        for kind in heard[:1]:
            signal.raise_signal(kind)


class EngineFailed(Exception):
    """What shares the work among machines has given up."""


def answer_on_ray(
    files: Iterable[str], question: Question
) -> Iterator[tuple[list[str], list[Answer]]]:
    """Yield files and their answers, in order, from a cluster of Ray.

    Ray starts one on this machine if `RAY_ADDRESS` names none. Every machine of
    it has this package, and the files and the export under the same paths. The
    names of all files, some hundred bytes each, are in Ray's memory.

    Raises:
        EngineFailed: If Ray cannot be reached, or a machine of it cannot
            answer.
    """
    try:
        yield from _answer_on_ray(files, question)
    except Exception as error:  # Ray raises anything
        # Of another process there is a traceback, and the reason at its end.
        lines = str(error).strip().splitlines() or [repr(error)]
        raise EngineFailed(lines[-1]) from error


def _answer_on_ray(files, question):
    ray = _runtimes.import_module("ray", "ray[data]")
    data = _runtimes.import_module("ray.data", "ray[data]")
    arrow = _runtimes.import_module("pyarrow", "ray[data]")
    ray.init(
        ignore_reinit_error=True,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False

    class OnRay:  # an object in each of its processes, columns are arrays
        def __init__(self):
            self._classifier = Classifier(question)

        def __call__(self, batch):
            answers = self._classifier.answer(batch["path"].tolist())
            texts = [json.dumps(answer._asdict()) for answer in answers]
            return {"file": batch["file"], "answer": np.array(texts, object)}

    files, blocks = iter(files), []
    while some := [*itertools.islice(files, BLOCK)]:
        paths = [os.path.abspath(file) for file in some]
        blocks.append(arrow.table({"file": some, "path": paths}))
    if not blocks:
        return
    answered = data.from_arrow(blocks).map_batches(
        OnRay,
        batch_size=_predictor.AT_ONCE,
        compute=data.ActorPoolStrategy(
            size=max(int(ray.cluster_resources()["CPU"]), 1)
        ),
    )
    for batch in answered.iter_batches(batch_size=None):
        answers = [Answer(**json.loads(text)) for text in batch["answer"]]
        yield batch["file"].tolist(), answers


_classifier = None  # of a process that shares the work


def _start(question):
    global _classifier
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    _classifier = Classifier(question)


def _end_with_parent():
    """Leave nothing behind a process that was killed."""
    parent = multiprocessing.parent_process()
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _answer(files):
    return _classifier.answer(files)


def _processors():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(argv) -> int:
    """Answer; return the exit code."""
    arguments = _parser().parse_args(argv)
    if refusal := _refusal(arguments.csv, arguments.files):
        return _end(2, refusal)
    # In a notebook other things happen afterwards.
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = in_main_thread and signal.signal(signal.SIGTERM, _terminate)
    try:
        return _main(arguments)
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: whoever runs this wants it to end."""


def _terminate(number, frame):
    raise _Terminated


def _refusal(csv, files: list[str]) -> str | None:
    """Say why the answers cannot go where they are to, or None."""
    if csv is None:
        return None
    if csv in ("", "-") or csv.endswith(os.sep):
        return (
            f"--csv must name a file, such as answers.csv. Received: {csv!r}. "
            "Without --csv the answers are a table on standard output."
        )
    is_picture = csv.lower().endswith(_pictures.EXTENSIONS)
    with contextlib.suppress(OSError):
        there = os.stat(csv)
        for file in files:
            with contextlib.suppress(OSError):
                is_picture |= os.path.samestat(os.stat(file), there)
    if is_picture and not os.path.isdir(csv):
        return (
            f"--csv {csv} is the name of a picture, which the answers would "
            "take the place of. Choose another, such as answers.csv."
        )
    return None


def _main(arguments) -> int:
    # Pillow warns of damaged metadata; what matters of it is an error here.
    warnings.simplefilter("ignore")
    try:
        question = Question(
            str(_loading.find_export(arguments.model).resolve()),
            arguments.format,
            arguments.top,
            arguments.like_mnist,
        )
        classifier = Classifier(question)
        if arguments.engine == "ray":
            _runtimes.import_module("ray.data", "ray[data]")
    except (OSError, ValueError, ModuleNotFoundError) as error:
        return _end(2, error)
    files = find_pictures(arguments.files)
    first = next(files, None)
    if first is None:
        return _end(
            3,
            f"There are no pictures in {', '.join(arguments.files)}: no name "
            f"ends with {', '.join(_pictures.EXTENSIONS)}.",
        )
    files = itertools.chain([first], files)
    try:
        if arguments.csv is None:
            output = Table(classifier.labels, question.top)
        else:
            output = Csv(Path(arguments.csv), question.mark(), question.top)
            files = output.without_answered(files)
    except (OSError, ValueError) as error:
        return _end(2, _cannot_write(arguments.csv, error))
    hint = ""
    if arguments.csv is not None:
        hint = f" The same command resumes from {output.partial}."
    try:
        return _answer_into(output, files, classifier, question, arguments)
    except _Terminated:
        return _end(143, f"Terminated.{hint}")
    except KeyboardInterrupt:
        return _end(130, f"Interrupted.{hint}")
    except EngineFailed as error:
        return _end(1, f"Ray has failed: {str(error).rstrip('.')}.{hint}")
    except concurrent.futures.process.BrokenProcessPool:
        return _end(
            1,
            "A process that shared the work was killed, perhaps for want of "
            f"memory.{hint}",
        )
    except OSError as error:
        return _end(1, _cannot_write(arguments.csv, error) + hint)


def _answer_into(output, files, classifier, question, arguments) -> int:
    """Answer until all is written; return the exit code."""
    total, failed, light = output.kept, output.failed, 0
    if output.kept:
        _end(0, f"Resuming after {total:,} files in {output.partial}")
    bar = None
    seen = sys.stderr is not None and sys.stderr.isatty()
    if arguments.csv is not None and seen:
        bar = Bar(sum(1 for _ in find_pictures(arguments.files)), total)
    try:
        if arguments.engine == "ray":
            answered = answer_on_ray(files, question)
        else:
            answered = answer_all(files, classifier, question)
        for some, answers in answered:
            output.write(some, answers)
            total += len(some)
            failed += sum(bool(answer.error) for answer in answers)
            light += sum(answer.is_light for answer in answers)
            if bar:
                bar.show(total)
        output.finish()
    finally:
        output.close()
        if bar:
            bar.clear()
    if arguments.csv is not None:
        why = "; its column `error` says why" if failed else ""
        files = "file" if total == 1 else "files"
        print(f"{arguments.csv}: {total:,} {files}, {failed:,} failed{why}")
    if light and classifier.is_of_digits and not question.like_mnist:
        _end(
            0,
            f"{light:,} of {total:,} pictures {'is' if light == 1 else 'are'} "
            "more light than dark, and "
            f"{arguments.model} knows white digits on black: --like-mnist "
            "prepares photos of ink on paper.",
        )
    return int(failed > 0)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m zoo predict",
        description=DESCRIPTION,
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="name or path of an export"
    )
    parser.add_argument(
        "files",
        metavar="FILES",
        nargs="+",
        help="pictures, and folders, in which they are looked for",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="write the answers there, once all of them are known; if the "
        "command is interrupted, the same command resumes",
    )
    parser.add_argument(
        "--top",
        metavar="K",
        type=int,
        default=1,
        help="name the K likeliest classes (default: %(default)s)",
    )
    parser.add_argument(
        "--like-mnist",
        action="store_true",
        help="look for a digit, however it is drawn or photographed, and "
        "prepare it as MNIST's authors did",
    )
    parser.add_argument(
        "--format",
        choices=_runtimes.FORMATS,
        default="litert",
        help="what to ask (default: %(default)s, which answers as the model "
        "does; litert-int8 takes less time, and its probabilities differ)",
    )
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="what shares the work: processes of this machine (default), or "
        "a cluster of Ray, all of whose machines see the same files",
    )
    return parser


def _cannot_write(path, error) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"{path or 'The table'} cannot be written: {reason}."


def _end(code: int, message) -> int:
    print(message, file=sys.stderr)
    return code
