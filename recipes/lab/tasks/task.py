"""What tasks have in common; `Classification` says what their methods do."""


class Task:
    """What a model does: how it is scored, exported, reported and described."""

    def assets(self) -> dict[str, str]:
        """Return the files that the export keeps beside the graph: none."""
        return {}


def loaded_by_tensorflow(name: str, version: str) -> str:
    """Return how a card begins to say how an export is used; code follows."""
    return f"""\
With TensorFlow alone:

```python
import tensorflow as tf

export = tf.saved_model.load("saved_models/{name}/{version}")"""
