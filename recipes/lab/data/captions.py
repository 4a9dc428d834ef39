"""What is on an image, in letters: the name of its class, spelled out."""

from dataclasses import replace

from recipes.lab.data.splits import Data, Split, Writing

DIGITS = (
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
)


def spelled(data: Data) -> Data:
    """Return images whose targets are the names of their classes, in letters.

    A class that is called 7 is spelled seven; others have the letters that
    their names have.

    Args:
        data: Images with labels.
    """
    words = [
        DIGITS[int(name)] if name in [*"0123456789"] else name
        for name in map(str, data.class_names)
    ]
    writing = Writing(
        "".join(sorted({*"".join(words)})),
        max(map(len, words)),
        "the name of what is on the image",
    )
    captions = writing.read(words)

    def caption(split: Split) -> Split:
        return replace(split, targets=captions[split.targets])

    return replace(
        data,
        train=caption(data.train),
        validation=caption(data.validation),
        test=caption(data.test),
        writing=writing,
    )
