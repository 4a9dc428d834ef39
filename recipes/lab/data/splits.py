"""A data set in three splits, as arrays."""

import hashlib
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from recipes.lab.errors import UsageError
from recipes.lab.inputs.images import Images
from recipes.lab.inputs.sites import Sites
from recipes.lab.inputs.tables import Column, Tables
from recipes.lab.inputs.time_series import TimeSeries
from recipes.lab.inputs.tokens import Tokens
from zoo import encoder_decoders


@dataclass(frozen=True)
class Split:
    """What goes into a model, and what it is to say of it.

    Attributes:
        inputs: An array `(n, ...)`: raw pixels, uint8 `(n, height, width,
            channels)`; rows of a table in raw units, float32 `(n, columns)`;
            numbers of words, int32 `(n, length)`; sequences of numbers, float32
            `(n, steps, columns)`; or the features of images, float32. Of a
            model with several inputs a dictionary of such arrays.
        targets: An array `(n, ...)`: labels, int32 `(n,)`; numbers, float32
            `(n,)`; images without noise, float32 in [0, 1]; or numbers of
            letters, int32 `(n, length)`. Of several tasks a dictionary of such
            arrays.
        prepare: Function `(inputs, targets) -> (inputs, targets)` of a batch of
            tensors, after augmentation: what `fit` gets to see. None leaves
            them as they are.
        passes: How often an epoch of training shows each example; more than
            once where there are too few of them for the epochs of a recipe.
    """

    inputs: np.ndarray | dict[str, np.ndarray]
    targets: np.ndarray | dict[str, np.ndarray]
    prepare: Callable | None = None
    passes: int = 1

    def __len__(self):
        return len(keras.tree.flatten(self.inputs)[0])

    def __getitem__(self, chosen) -> "Split":
        """Return some of the examples, as NumPy would."""
        inputs, targets = keras.tree.map_structure(
            lambda x: x[chosen], (self.inputs, self.targets)
        )
        return replace(self, inputs=inputs, targets=targets)

    def in_batches(self, size: int) -> Iterator["Split"]:
        """Yield so many examples at a time, in order; the last are fewer."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def __add__(self, other: "Split") -> "Split":
        inputs, targets = keras.tree.map_structure(
            lambda *parts: np.concatenate(parts),
            (self.inputs, self.targets),
            (other.inputs, other.targets),
        )
        return replace(self, inputs=inputs, targets=targets)

    def of_each_class(self, count: int, seed: int) -> "Split":
        """Return so many examples of each class, drawn at random."""
        random = np.random.default_rng(seed)
        order = random.permutation(len(self))
        chosen = [
            order[self.targets[order] == label][:count]
            for label in np.unique(self.targets)
        ]
        return self[np.concatenate(chosen)]

    def one_hot(self, num_classes: int) -> "Split":
        """Return the split with a row of zeros and a one for each label."""

        def prepare(inputs, labels):
            return inputs, tf.one_hot(labels, num_classes)

        return replace(self, prepare=prepare)

    def to_reconstruct(self) -> "Split":
        """Return the split with the images as their own targets, in [0, 1].

        They stay bytes until they are in a batch.
        """
        return replace(self, prepare=_image_and_pixels)

    def to_draw(self, num_classes: int) -> "Split":
        """Return the split with labels as inputs, and images as targets.

        A label is a one among zeros, the images are in [0, 1].
        """

        def prepare(images, labels):
            _, pixels = _image_and_pixels(images, labels)
            return tf.one_hot(labels, num_classes), pixels

        return replace(self, prepare=prepare)

    def to_write(self) -> "Split":
        """Return the split with the letter before each one as an input, too.

        The targets are numbers of letters, `(n, length)`.
        """
        return replace(self, prepare=_with_letters_before)


def _with_letters_before(inputs, letters):
    return (inputs, tf.pad(letters[:, :-1], [[0, 0], [1, 0]])), letters


def _image_and_pixels(images, labels):
    return images, tf.cast(images, tf.float32) / 255


def in_unit_range(images: np.ndarray) -> np.ndarray:
    """Return raw pixels as float32 in [0, 1]."""
    return images.astype("float32") / 255


class Head(NamedTuple):
    """One of several tasks that a data set has targets for.

    Attributes:
        name: What its targets are called.
        about: What it is about, in a few words.
        class_names: Name of each label; none if the targets are numbers.
        unit: What the numbers are counted in.
    """

    name: str
    about: str
    class_names: tuple[str, ...] = ()
    unit: str = ""


class Writing(NamedTuple):
    """What texts are made of, where targets are texts.

    The targets are numbers of letters, with zeros after the last one.

    Attributes:
        alphabet: The letters; the first one has the number 1.
        length: How many a text may have.
        about: What the texts are.
    """

    alphabet: str
    length: int
    about: str

    def read(self, texts) -> np.ndarray:
        """Return the numbers of the letters of texts, int32 `(n, length)`."""
        numbers = {letter: i for i, letter in enumerate(self.alphabet, start=1)}
        rows = np.zeros((len(texts), self.length), "int32")
        for row, text in zip(rows, texts, strict=True):
            row[: len(text)] = [numbers[letter] for letter in text]
        return rows

    def write(self, numbers) -> list[str]:
        """Return the texts of numbers `(n, length)`, up to the first 0."""
        return encoder_decoders.write_letters(numbers, self.alphabet)


class Facts(NamedTuple):
    """What people call a data set, and what they may do with it."""

    title: str
    licence: str


@dataclass(frozen=True)
class Data:
    """A data set, split, with what is to be known about it.

    Attributes:
        name: Name in TFDS.
        train: What the weights are fitted to.
        validation: What choices are made on.
        test: Scored once, at the end.
        inputs: What goes into a model.
        facts: Title and licence.
        class_names: Name of each label; none if the targets are numbers.
        source: Where it was read from, for people.
        checksum: SHA-256 of what was read.
        is_sample: Whether this is the embedded sample, no result of which is
            ever published.
        target: What the targets are, if they are numbers.
        groups: The group of each training example, int32 `(n,)`, of data whose
            training examples are its test examples, too: such data are tested
            by cross-validation, and a group is never cut.
        heads: The tasks, if the targets are a dictionary.
        writing: What the targets are made of, if they are texts.
        is_own: Whether a user brought it, and nobody has published anything
            about it.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    inputs: Images | Sites | Tables | TimeSeries | Tokens
    facts: Facts
    class_names: tuple[str, ...]
    source: str
    checksum: str
    is_sample: bool = False
    target: Column | None = None
    heads: tuple[Head, ...] = ()
    writing: Writing | None = None
    groups: np.ndarray | None = None
    is_own: bool = False

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def of_classes(self, class_names) -> "Data":
        """Return the data of some classes only, which are numbered anew.

        Args:
            class_names: Names of the classes to keep, in their new order.
        """
        numbers = np.full(len(self.class_names), -1, "int32")
        for new, name in enumerate(class_names):
            numbers[self.class_names.index(name)] = new

        def keep(split):
            labels = numbers[split.targets]
            return replace(split, targets=labels)[labels >= 0]

        return replace(
            self,
            train=keep(self.train),
            validation=keep(self.validation),
            test=keep(self.test),
            class_names=tuple(class_names),
        )

    def against_the_rest(self, class_name: str) -> "Data":
        """Return the data with two classes: not this one, and this one."""
        number = self.class_names.index(class_name)

        def tell(split):
            labels = (split.targets == number).astype("int32")
            return replace(split, targets=labels)

        return replace(
            self,
            train=tell(self.train),
            validation=tell(self.validation),
            test=tell(self.test),
            class_names=(f"not {class_name}", class_name),
        )

    def of_heads(self, names) -> "Data":
        """Return the data of some of several tasks.

        Args:
            names: Names of the tasks.
        """

        def keep(split):
            kept = {name: split.targets[name] for name in names}
            return replace(split, targets=kept)

        return replace(
            self,
            train=keep(self.train),
            validation=keep(self.validation),
            test=keep(self.test),
            heads=tuple(head for head in self.heads if head.name in names),
        )

    def folds(self, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Leave out some of the groups at a time, each once.

        Args:
            count: Number of parts of the groups.

        Yields:
            The numbers of the training rows that are kept, and of those that
            are left out.
        """
        _, numbers = np.unique(self.groups, return_inverse=True)
        if not 2 <= count <= numbers.max() + 1:
            raise UsageError(
                f"--folds must be between 2 and the {numbers.max() + 1} groups "
                f"of {self.name}. Received: {count}"
            )
        for fold in range(count):
            left = numbers % count == fold
            yield np.flatnonzero(~left), np.flatnonzero(left)

    def describe(self) -> str:
        """Return one line: what was read, from where, how much."""
        start = f"{self.name} from {self.source}: {len(self.train):,}"
        end = f"(sha256 {self.checksum[:12]})"
        if self.groups is not None:
            start += f" {self.inputs.plural}"
            count = len(np.unique(self.groups))
            grouped = f" in {count} groups" if count < len(self.train) else ""
            return f"{start}{grouped} {end}"
        passes = self.train.passes
        repeated = f" (each {passes} times an epoch)" if passes > 1 else ""
        return (
            f"{start} train{repeated}, {len(self.validation):,} validation, "
            f"{len(self.test):,} test {end}"
        )


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of whole batches that an epoch has of a split.

    Where an epoch shows each example several times, a batch may, too.

    Raises:
        UsageError: If there is not even one.
    """
    shown = split.passes * len(split)
    if batch_size > shown:
        raise UsageError(
            f"--batch-size must be at most the {shown:,} training examples "
            f"of an epoch. Received: {batch_size}"
        )
    return shown // batch_size


def for_tensorflow(array: np.ndarray) -> np.ndarray:
    """Return a copy at the beginning of a page, which a tensor can share.

    TensorFlow would make a copy of its own of an array from anywhere else.
    """
    memory = mmap.mmap(-1, max(1, array.nbytes))
    copy = np.ndarray(array.shape, array.dtype, memory)
    copy[...] = array
    return copy


def sum_of(*arrays) -> str:
    """Return the SHA-256 of arrays, the same on every machine."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
