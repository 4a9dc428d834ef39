"""Exports: what is in them, what they answer, and how they are changed."""

import re
import textwrap

import tensorflow as tf

from helpers.tasks import classification
from recipes.lab.export import exporting


def asking(export):
    """Load an export with TensorFlow alone; return what calls its signatures.

    For example `ask("image_bytes", [png])`.
    """
    served = tf.saved_model.load(str(export))

    def ask(signature, values):
        function = served.signatures[signature]
        [name] = function.structured_input_signature[1]
        answer = function(**{name: tf.constant(values)})
        return {key: value.numpy() for key, value in answer.items()}

    return ask


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def front_matter(card):
    return card.split("---\n")[1]


def with_new_sums(export):
    (export / "SHA256SUMS").unlink()
    exporting._write_sums(export)


def signatures_of(model, names="0123456789"):
    return classification(names).signatures(model)


def read_yaml(text):
    """Read the little YAML that a card needs: maps, lists and plain words."""
    lines = text.strip("\n").splitlines()
    if not lines[0].startswith("- ") and ":" not in lines[0]:
        assert len(lines) == 1
        return lines[0]
    blocks = []
    for line in lines:
        if (
            line.startswith("- ") == lines[0].startswith("- ")
            and line[0] != " "
        ):
            blocks.append([])
        blocks[-1].append(line)
    if lines[0].startswith("- "):
        return [
            read_yaml("\n".join(line[2:] for line in block)) for block in blocks
        ]
    content = {}
    for first, *rest in blocks:
        key, value = re.fullmatch(r"([\w-]+):(?: ([^:#]+))?", first).groups()
        assert key not in content and bool(value) != bool(rest)
        content[key] = value or read_yaml(textwrap.dedent("\n".join(rest)))
    return content
