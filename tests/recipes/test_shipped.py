"""Every model that ships answers what it answered when its answers were stored.

PYTHONPATH=.:tests python tests/recipes/test_shipped.py    # stores them anew
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers.tasks import few_of

import zoo
from recipes.lab.inputs.noise import Noise
from zoo import _loading

STORED = Path(__file__).with_name("shipped.json")
ASKED = 6  # inputs
DIGITS = 5  # of the stored numbers
ANSWERS = {
    *("prediction", "probabilities", "reconstruction", "picture"),
    "letter_probabilities",
}


def data_of(folder):
    """A few data of the kind that an export was made of."""
    record = json.loads((folder / "metrics.json").read_text())
    return few_of(record["dataset"])


def answers(export):
    """What the Keras model and the SavedModel say of digits, rows or codes."""
    folder = _loading.SHIPPED / export
    inputs = data_of(folder).test.inputs[:ASKED]
    model = zoo.load_model(folder, verbose=False)
    signatures = tf.saved_model.load(str(folder)).signatures
    name = "tokens" if "tokens" in signatures else "serving_default"
    served = signatures[name]
    _, arguments = served.structured_input_signature
    asked = dict.fromkeys(arguments, inputs)
    if "seed" in arguments:  # of the codes that go in
        asked = {"seed": np.int64(7), "count": np.int64(ASKED)}
        inputs = Noise(model.input_shape[-1]).draw(**asked)
    outputs = served(**{k: tf.constant(value) for k, value in asked.items()})
    [name] = ANSWERS & {*outputs}
    answers = model(inputs, training=False).numpy()
    served = outputs[name].numpy()
    if answers.shape[1] == 1:  # the probability of the second of two classes
        served = served.reshape(ASKED, -1)[:, -1:]
    return answers, served


def shown(values):
    """The numbers that are stored: all probabilities, or some pixels."""
    values = values.reshape(ASKED, -1).astype("float64")
    count = values.shape[1]
    step = 40 if count > 400 else max(count // 10, 1)
    return np.round(values[:, -10 * step :: step], DIGITS).tolist()


@pytest.mark.thorough
@pytest.mark.parametrize("export", _loading.shipped_exports())
def test_a_shipped_model_answers_as_it_did(export):
    stored = json.loads(STORED.read_text())[export]
    for values in answers(export):
        np.testing.assert_allclose(shown(values), stored, atol=2e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("export", _loading.shipped_exports())
def test_python_of_a_shipped_card_runs(export, monkeypatch, capsys):
    pytest.importorskip("openvino")
    monkeypatch.chdir(_loading.SHIPPED.parent)
    folder = _loading.SHIPPED / export
    inputs = data_of(folder).test.inputs[:ASKED]
    codes = np.zeros((ASKED, 64), "float32")  # of a generator
    names = ("images", "features", "tokens")
    given = dict.fromkeys(names, inputs) | {"codes": codes}
    card = (folder / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    asked = [block for block in blocks if "urllib" not in block]
    assert len(asked) == len(blocks) - 1
    for use in ("tensorflow", "ai_edge_litert", "onnxruntime", "openvino"):
        assert f"import {use}" in card or f"from {use}" in card
    for block in asked:  # one after another: some ask what was loaded above
        exec(block, given)
        assert bool(capsys.readouterr().out) == ("print(" in block)


def test_what_ships_is_small():
    total = 0
    for export in _loading.shipped_exports():
        sizes = [
            path.stat().st_size
            for path in (_loading.SHIPPED / export).rglob("*")
            if path.is_file()
        ]
        assert max(sizes) <= 3 * 2**20, export
        assert sum(sizes) <= 6 * 2**20, export
        total += sum(sizes)
    assert total <= 80 * 2**20


def test_the_answers_of_every_shipped_model_are_stored():
    assert [*json.loads(STORED.read_text())] == _loading.shipped_exports()


if __name__ == "__main__":
    found = {e: shown(answers(e)[0]) for e in _loading.shipped_exports()}
    lines = (f'"{name}": {json.dumps(rows)}' for name, rows in found.items())
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
