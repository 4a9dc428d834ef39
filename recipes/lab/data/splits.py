"""A data set in three splits, as arrays."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from recipes.lab.errors import UsageError


@dataclass(frozen=True)
class Split:
    """Images and what a model is to say of them.

    Attributes:
        images: uint8 `(n, height, width, channels)`, raw pixels; or the
            features of images, float32 `(n, ...)`.
        labels: int32 `(n,)`; float32 `(n, num_classes)` after `one_hot`; the
            images themselves after `to_reconstruct`.
        passes: How often an epoch of training shows each image; more than once
            where there are too few of them for the epochs of a recipe.
    """

    images: np.ndarray
    labels: np.ndarray
    passes: int = 1

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, chosen) -> "Split":
        """Return some of the images with their labels, as NumPy would."""
        images = self.images[chosen]
        labels = images if self.reconstructs else self.labels[chosen]
        return Split(images, labels, self.passes)

    def __add__(self, other: "Split") -> "Split":
        images = np.concatenate([self.images, other.images])
        if self.reconstructs and other.reconstructs:
            return Split(images, images)
        return Split(images, np.concatenate([self.labels, other.labels]))

    def of_each_class(self, count: int, seed: int) -> "Split":
        """Return so many images of each class, drawn at random."""
        random = np.random.default_rng(seed)
        order = random.permutation(len(self))
        chosen = [
            order[self.labels[order] == label][:count]
            for label in np.unique(self.labels)
        ]
        return self[np.concatenate(chosen)]

    def one_hot(self, num_classes: int = 10) -> "Split":
        """Return the split with a row of zeros and a one for each label."""
        rows = np.eye(num_classes, dtype="float32")
        return dataclasses.replace(self, labels=rows[self.labels])

    def to_reconstruct(self) -> "Split":
        """Return the split with the images as their own targets.

        They stay bytes: `targets` makes numbers in [0, 1] of a batch at a time.
        """
        return dataclasses.replace(self, labels=self.images)

    @property
    def reconstructs(self) -> bool:
        """Whether the images are their own targets."""
        return self.labels is self.images

    def targets(self) -> np.ndarray:
        """Return the labels, or the images' pixels as float32 in [0, 1]."""
        if self.reconstructs:
            return self.images.astype("float32") / 255
        return self.labels


@dataclass(frozen=True)
class Data:
    """A data set, split, with what is to be known about it.

    Attributes:
        name: Name in TFDS.
        train: What the weights are fitted to.
        validation: What choices are made on.
        test: Scored once, at the end.
        class_names: Name of each label.
        source: Where it was read from, for people.
        checksum: SHA-256 of what was read.
        is_sample: Whether this is the embedded sample, no result of which is
            ever published.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    source: str
    checksum: str
    is_sample: bool = False

    def of_classes(self, class_names) -> "Data":
        """Return the data of some classes only, which are numbered anew.

        Args:
            class_names: Names of the classes to keep, in their new order.
        """
        numbers = np.full(len(self.class_names), -1, "int32")
        for new, name in enumerate(class_names):
            numbers[self.class_names.index(name)] = new

        def keep(split):
            labels = numbers[split.labels]
            return dataclasses.replace(split, labels=labels)[labels >= 0]

        return dataclasses.replace(
            self,
            train=keep(self.train),
            validation=keep(self.validation),
            test=keep(self.test),
            class_names=tuple(class_names),
        )

    def describe(self) -> str:
        """Return one line: what was read, from where, how much."""
        passes = self.train.passes
        repeated = f" (each {passes} times an epoch)" if passes > 1 else ""
        return (
            f"{self.name} from {self.source}: {len(self.train):,} train"
            f"{repeated}, "
            f"{len(self.validation):,} validation, {len(self.test):,} test "
            f"(sha256 {self.checksum[:12]})"
        )


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of whole batches in a split.

    Raises:
        UsageError: If there is not even one.
    """
    if batch_size > len(split):
        raise UsageError(
            f"--batch-size must be at most the {len(split):,} training images. "
            f"Received: {batch_size}"
        )
    return split.passes * len(split) // batch_size
