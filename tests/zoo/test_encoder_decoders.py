"""Networks that write letter by letter what they make of what they read."""

import keras
import numpy as np
import pytest
from helpers.seeds import set_seed

import zoo
from zoo import encoder_decoders

LETTERS = {"alphabet": "abc .", "target_alphabet": "xyz"}
SIZES = {"embedding_units": 3, "hidden_units": 4, "target_length": 5}


def plain(tensor):
    return keras.ops.convert_to_numpy(tensor)


def small(attention=True, seed=3, **arguments):
    set_seed(seed)
    model = zoo.create_model(
        "seq2seq",
        input_shape=(6,),
        attention=attention,
        **{**LETTERS, **SIZES, **arguments},
    )
    random = np.random.default_rng(seed)
    # Large enough for a letter to matter to the next one.
    model.set_weights(
        [random.normal(scale=3, size=w.shape) for w in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["attends", "not"])
def model(request):
    return small(request.param)


TEXTS = ["abc", "c", "a b.ca", "bb.bb"]


def read(texts):
    return encoder_decoders.read_letters(texts, LETTERS["alphabet"], 6)


# --- what is computed ----------------------------------------------------


def by_hand(model, tokens):
    """Return the logits for one text, by the formulas of `Decoder`."""
    decoder = model.get_layer("decoder")
    encoder = keras.Model(model.input, decoder.input)
    encoded = plain(encoder(tokens[np.newaxis]))[0]

    def dense(layer, x):
        outputs = x @ plain(layer.kernel)
        return outputs + plain(layer.bias) if layer.use_bias else outputs

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    last = encoded[-1] if encoded.ndim == 2 else encoded
    state, letter = np.tanh(dense(decoder.start, last)), 0
    kernel, recurrent, biases = map(plain, decoder.cell.weights)
    logits = []
    for _ in range(decoder.length):
        context = encoded
        if encoded.ndim == 2:
            scores = [
                dense(
                    decoder.score,
                    np.tanh(
                        dense(decoder.key, h) + dense(decoder.query, state)
                    ),
                )
                for h in encoded
            ]
            weights = np.exp(scores) / np.sum(np.exp(scores))
            context = np.sum(weights * encoded, axis=0)
        row = plain(decoder.embedding.embeddings)[letter]
        x = np.concatenate([row, context]) @ kernel + biases[0]
        u = state @ recurrent + biases[1]
        z, r, c = np.split(x, 3)
        uz, ur, uc = np.split(u, 3)
        z, r = sigmoid(z + uz), sigmoid(r + ur)
        state = z * state + (1 - z) * np.tanh(c + r * uc)
        found = dense(decoder.letters, np.concatenate([state, context]))
        letter = int(found.argmax())
        logits.append(found)
    return np.array(logits)


def test_a_decoder_does_what_its_formulas_say(model):
    for tokens in read(TEXTS):
        logits = by_hand(model, tokens)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely = powers / powers.sum(axis=1, keepdims=True)
        found = plain(model(tokens[np.newaxis]))[0]
        np.testing.assert_allclose(found, likely, atol=1e-5)


def test_told_what_it_has_written_it_says_the_same(model):
    tokens = read(TEXTS)
    likely = plain(model(tokens))
    letters = likely.argmax(axis=-1)
    before = np.pad(letters[:, :-1], ((0, 0), (1, 0)))
    told = zoo.teacher_forced(model)
    found = plain(told([tokens, before.astype("int32")]))
    np.testing.assert_allclose(found, likely, atol=1e-5)
    # And something else if it is told something else.
    other = plain(told([tokens, (before + 1).astype("int32") % 4]))
    assert np.abs(other - likely)[:, 1:].max() > 0.1


def test_to_train_what_is_told_trains_the_model():
    model = small()
    told = zoo.teacher_forced(model)
    told.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    letters = np.ones((4, 5), "int32")
    told.train_on_batch([read(TEXTS), letters], letters)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(old != new)


def test_attention_is_a_mean_over_what_was_read():
    model, tokens = small(), read(TEXTS)
    weights = encoder_decoders.attention_of(model, tokens)
    assert weights.shape == (4, 5, 6)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert np.ptp(weights, axis=1).max() > 0.1  # it moves


def test_what_does_not_attend_has_no_attention():
    with pytest.raises(ValueError, match="does not attend"):
        encoder_decoders.attention_of(small(attention=False), read(TEXTS))


# --- what is written -----------------------------------------------------


def test_a_text_is_the_likeliest_letters_up_to_the_first_that_is_none(model):
    letters = plain(model(read(TEXTS))).argmax(axis=-1)
    expected = [
        "".join(" xyz"[i] for i in row).partition(" ")[0] for row in letters
    ]
    assert zoo.generate_text(model, TEXTS) == expected
    assert len({*expected}) > 1


def test_a_draw_is_a_function_of_text_and_seed(model):
    def draws(texts):
        return [zoo.generate_text(model, texts, seed=i) for i in range(8)]

    together = draws(TEXTS)
    assert together == draws(TEXTS)
    assert [row[2:3] for row in together] == draws(TEXTS[2:3])
    assert len({*map(tuple, together)}) > 1


def test_a_cold_draw_is_the_likeliest_text(model):
    likeliest = zoo.generate_text(model, TEXTS)
    for seed in range(5):
        found = zoo.generate_text(model, TEXTS, seed=seed, temperature=1e-6)
        assert found == likeliest


def test_letters_are_drawn_as_often_as_they_are_likely():
    model = small(target_length=2)
    decoder, count = model.get_layer("decoder"), 20_000
    encoder = keras.Model(model.input, decoder.input)
    encoded = np.repeat(plain(encoder(read(["abc"]))), count, axis=0)
    noise = np.random.default_rng(0).gumbel(size=(count, 2, 4))
    noise = noise.astype("float32")
    logits = plain(decoder(encoded, noise=noise))
    first, second = (logits + noise).argmax(axis=-1).T
    frequent = first == np.bincount(first).argmax()
    for drawn, given in (
        (first, logits[0, 0]),
        # After a first letter, each as often as it is likely then.
        (second[frequent], logits[frequent][0, 1]),
    ):
        expected = np.exp(given) / np.exp(given).sum()
        shares = np.bincount(drawn, minlength=4) / len(drawn)
        np.testing.assert_allclose(shares, expected, atol=0.02)


def test_capitals_are_letters_where_the_alphabet_has_any():
    model = zoo.seq2seq((8,), alphabet="ACGT", target_alphabet="ACGU")
    assert len(zoo.generate_text(model, ["ACGT"])) == 1
    with pytest.raises(ValueError, match="'a' of 'acgt' is not known"):
        zoo.generate_text(model, ["acgt"])


def test_capitals_and_blanks_around_a_text_say_nothing(model):
    assert zoo.generate_text(model, ["  AbC\n"]) == zoo.generate_text(
        model, ["abc"]
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([""], "A text is empty"),
        (["abc", " \t"], "A text is empty"),
        (["abd"], "The character 'd' of 'abd' is not known. There are: 'abc ."),
        (["abcabca"], "A text may have 6 characters. 'abcabca' has 7"),
        ("abc", r"must be a list of texts, such as \['abc'\]"),
        ([b"abc"], "A text must be a string. Received: bytes"),
        ([], "There is nothing to write about"),
    ],
)
def test_what_cannot_be_read_is_refused(model, texts, said):
    with pytest.raises(ValueError, match=said):
        zoo.generate_text(model, texts)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_must_be_above_zero(temperature):
    with pytest.raises(ValueError, match="`temperature` must be above 0"):
        zoo.generate_text(small(), ["a"], seed=1, temperature=temperature)


def test_a_loaded_model_knows_its_letters(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert zoo.generate_text(loaded, TEXTS, seed=3) == zoo.generate_text(
        model, TEXTS, seed=3
    )


def test_a_captioner_writes_about_raw_pixels(images):
    model = zoo.create_model("captioner")
    texts = zoo.generate_text(model, images)
    assert len(texts) == len(images)
    assert {*"".join(texts)} <= {*"efghinorstuvwxz"}


def test_what_writes_nothing_is_refused():
    with pytest.raises(ValueError, match="mlp writes no text"):
        zoo.generate_text(zoo.create_model("mlp"), np.zeros((1, 28, 28, 1)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"alphabet": ""}, "`alphabet` must have one letter or more"),
        ({"target_alphabet": "aba"}, "`target_alphabet` must have one letter"),
        ({"target_length": 0}, "`target_length` must be 1 or more"),
    ],
)
def test_letters_that_make_no_text_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        zoo.create_model("seq2seq", **arguments)
