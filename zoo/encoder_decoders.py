"""Networks that write: what an encoder has read, a decoder puts into letters.

What is written is one letter after another, and each letter is read before the
next one is chosen. A trained model answers with what it chooses itself:

>>> model = zoo.create_model("seq2seq")
>>> texts = zoo.generate_text(model, ["the third of may nineteen eighty-seven"])

In training it is told the letters that it should have chosen, for an error at
the start would make nonsense of all that follows:

>>> told = zoo.teacher_forced(model)

The number 0 stands for no letter. It comes before the first letter of a text
that is read, and after the last one of a text that is written.
"""

import keras
import numpy as np
from keras import layers, ops

from zoo._registry import register_model
from zoo.convolutional import cnn_features

BLANKS = " \t\n\r\v\f"  # around a text they say nothing
QUOTED = 60  # characters of a text that an error quotes


@keras.saving.register_keras_serializable(package="zoo")
class LetterEmbedding(layers.Embedding):
    """Give the row of numbers that stands for each letter.

    Args:
        alphabet: The letters; the first one has the number 1.
        units: Length of a row.
    """

    def __init__(self, alphabet, units, **kwargs):
        super().__init__(len(alphabet) + 1, units, **kwargs)
        self.alphabet = alphabet

    def get_config(self):
        config = super().get_config()
        del config["input_dim"], config["output_dim"]
        return config | {"alphabet": self.alphabet, "units": self.output_dim}


@keras.saving.register_keras_serializable(package="zoo")
class Decoder(layers.Layer):
    """Write a text about what was read, letter by letter.

    Gated recurrent units remember what they have written. At each step they get
    the last letter and a context, and a dense layer says how likely each letter
    is to be the next one:

        s_t = GRU(s_(t-1), [embedding of y_(t-1), c_t])
        logits = W [s_t, c_t] + b

    What was read is a vector or a sequence. A vector is the context of every
    step. A sequence is attended to: the context is a mean of its vectors h_j,
    with weights that say which of them matter for the next letter,

        c_t = sum_j a_tj h_j,  a_t = softmax_j(v . tanh(U h_j + W s_(t-1)))

    The state before the first letter is a dense layer of the vector, or of the
    last one of the sequence.

    Args:
        alphabet: The letters; the first one has the number 1.
        length: How many are written at most.
        units: Width of the recurrent units, and of the attention.
        embedding_units: Length of the row that stands for a letter.
    """

    def __init__(self, alphabet, length, units, embedding_units, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        exact = {"dtype": self.dtype_policy}  # its layers are called in turns
        self.alphabet = alphabet
        self.length = length
        self.units = units
        self.embedding_units = embedding_units
        self.start = layers.Dense(
            units, activation="tanh", name="start", **exact
        )
        self.embedding = LetterEmbedding(
            alphabet, embedding_units, name="embedding", **exact
        )
        self.cell = layers.GRUCell(units, name="cell", **exact)
        self.letters = layers.Dense(len(alphabet) + 1, name="letters", **exact)
        self.key = layers.Dense(units, name="key", **exact)
        self.query = layers.Dense(units, use_bias=False, name="query", **exact)
        self.score = layers.Dense(1, use_bias=False, name="score", **exact)

    def build(self, encoded_shape):
        batch, *steps, width = encoded_shape
        self.start.build((batch, width))
        self.embedding.build((batch,))
        self.cell.build((batch, self.embedding_units + width))
        self.letters.build((batch, self.units + width))
        if steps:
            self.key.build(encoded_shape)
            self.query.build((batch, self.units))
            self.score.build((batch, *steps, self.units))

    def call(self, encoded, previous=None, noise=None, with_attention=False):
        """Return the logits of each letter, `(batch, length, letters + 1)`.

        Args:
            encoded: What was read, `(batch, width)` or `(batch, steps, width)`.
            previous: The letter before each one, int32 `(batch, length)`; None
                for what is chosen: the letter of the largest logit.
            noise: What to add to the logits before one is chosen, `(batch,
                length, letters + 1)`.
            with_attention: Whether to return the weights of the attention, too,
                `(batch, length, steps)`.
        """
        attends = len(encoded.shape) == 3
        keys = self.key(encoded) if attends else None
        last = encoded[:, -1] if attends else encoded
        state = self.start(last)
        letters = ops.zeros_like(last[:, 0], dtype="int32")
        logits, attention, context = [], [], encoded
        for step in range(self.length):
            if previous is not None:
                letters = previous[:, step]
            if attends:
                weights = self._attend(keys, state)
                attention.append(weights)
                context = ops.sum(weights[..., None] * encoded, axis=1)
            inputs = ops.concatenate([self.embedding(letters), context], axis=1)
            state, _ = self.cell(inputs, [state])
            found = self.letters(ops.concatenate([state, context], axis=1))
            logits.append(found)
            if noise is not None:
                found = found + noise[:, step]
            letters = largest(found)
        logits = ops.stack(logits, axis=1)
        if with_attention:
            return logits, ops.stack(attention, axis=1)
        return logits

    def _attend(self, keys, state):
        """Return the weight of each step of what was read, `(batch, steps)`."""
        query = ops.expand_dims(self.query(state), axis=1)
        scores = self.score(ops.tanh(keys + query))
        return ops.softmax(ops.squeeze(scores, axis=-1), axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "alphabet": self.alphabet,
            "length": self.length,
            "units": self.units,
            "embedding_units": self.embedding_units,
        }


def largest(logits):
    """Return where the largest number of each row is, int32."""
    # Keras' argmax on TensorFlow looks at the bits of zeros: LiteRT cannot.
    _, places = ops.top_k(logits, 1)
    return ops.cast(places[..., 0], "int32")


@register_model(
    task="translation",
    inputs="tokens",
    lecture="recurrent networks, many to many: machine translation",
    reference="Bahdanau, Cho and Bengio 2015",
)
def seq2seq(
    input_shape=(54,),
    *,
    alphabet=" ,-.0123456789abcdefghijlmnoprstuvwxyz",
    target_alphabet="-0123456789",
    target_length=10,
    embedding_units=32,
    hidden_units=64,
    attention=True,
    name="seq2seq",
):
    """Build a network that reads one text and writes another.

    Recurrent units read the text in both directions, and others write. Where
    the decoder attends, it looks at each step at the letters that matter for
    the next one; where it does not, all that was read must fit into the two
    last states of the encoder.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | embedding   | 54×32  | 1,248      |
    | encoder     | 54×128 | 37,632     |
    | decoder     | 10×12  | 66,764     |
    | predictions | 10×12  |            |
    | sum         |        | 105,644    |

    Args:
        input_shape: How many letters are read, as a tuple.
        alphabet: The letters that are read; numbers go from 0, which is none.
        target_alphabet: The letters that are written.
        target_length: How many are written at most.
        embedding_units: Length of the row that stands for a letter.
        hidden_units: Width of the recurrent layers, in each direction.
        attention: Whether the decoder attends to what was read.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers of
        letters to `(batch, target_length, len(target_alphabet) + 1)`: the
        probability of each letter, given the likeliest letters before it.

    Raises:
        ValueError: If there are no letters, or one is there twice.

    Example:
    >>> model = zoo.create_model("seq2seq", attention=False)
    >>> [text] = zoo.generate_text(model, ["may 3, 1987"])

    Reference:
    - D. Bahdanau, K. Cho, Y. Bengio, Neural machine translation by jointly
      learning to align and translate, 2015.
    - K. Cho et al., Learning phrase representations using RNN encoder-decoder
      for statistical machine translation, 2014 (without attention).

    Departures from the paper:
    - It reads and writes letters instead of words, and the decoder starts from
      both states at the last letter instead of one at the first word.
    - Letters are chosen from the state and the context by one dense layer,
      instead of a maxout layer that sees the last word, too.
    - The reset gate acts after its matrix, as in `gru`.
    """
    _check(target_length, alphabet=alphabet, target_alphabet=target_alphabet)
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = LetterEmbedding(alphabet, embedding_units, name="embedding")(tokens)
    units = layers.GRU(hidden_units, return_sequences=attention, name="gru")
    x = layers.Bidirectional(units, name="encoder")(x)
    x = Decoder(
        *(target_alphabet, target_length, hidden_units, embedding_units),
        name="decoder",
    )(x)
    outputs = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(tokens, outputs, name=name)


@register_model(
    task="translation",
    inputs="images",
    lecture="recurrent networks, one to many: captions of images",
    reference="Vinyals et al. 2015",
)
def captioner(
    input_shape=(28, 28, 1),
    *,
    target_alphabet="efghinorstuvwxz",
    target_length=5,
    filters=(32, 64),
    feature_units=128,
    embedding_units=16,
    hidden_units=64,
    rescale=(1 / 255, 0.0),
    name="captioner",
):
    """Build a network that says in letters what is on an image.

    The layers of `cnn` see the image, and recurrent units write about what they
    saw.

    | layer                      | output   | parameters |
    | -------------------------- | -------- | ---------- |
    | rescaling                  | 28×28×1  |            |
    | conv1, 5×5, stride 2       | 12×12×32 | 800        |
    | pool1, norm1, relu1        | 6×6×32   | 32         |
    | conv2, 3×3                 | 4×4×64   | 18,432     |
    | norm2, relu2               | 4×4×64   | 64         |
    | flatten                    | 1,024    |            |
    | hidden1, norm3, relu3      | 128      | 131,200    |
    | decoder                    | 5×16     | 51,920     |
    | predictions                | 5×16     |            |
    | sum                        |          | 202,448    |

    Args:
        target_alphabet: The letters that are written; numbers go from 0, which
            is none.
        target_length: How many are written at most.
        filters: Number of maps of the two convolutions.
        feature_units: How many numbers the decoder gets to see.
        embedding_units: Length of the row that stands for a letter.
        hidden_units: Width of the recurrent units.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` raw pixels,
        0 to 255, to `(batch, target_length, len(target_alphabet) + 1)`: the
        probability of each letter, given the likeliest letters before it.

    Raises:
        ValueError: If there are no letters, or one is there twice.

    Example:
    >>> model = zoo.create_model("captioner")
    >>> texts = zoo.generate_text(model, images)

    Reference:
    - O. Vinyals, A. Toshev, S. Bengio, D. Erhan, Show and tell: a neural image
      caption generator, 2015.

    Departures from the paper:
    - It writes letters instead of words, of an image that a small network sees,
      and nothing is trained before the rest.
    - The units are gated recurrent ones, and see the image at each step instead
      of before the first word only.
    """
    _check(target_length, target_alphabet=target_alphabet)
    image = keras.Input(input_shape, name="image")
    x = cnn_features(image, filters, feature_units, False, rescale)
    x = Decoder(
        *(target_alphabet, target_length, hidden_units, embedding_units),
        name="decoder",
    )(x)
    outputs = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(image, outputs, name=name)


def _check(target_length, **alphabets):
    """Refuse what no text can be made of."""
    if target_length < 1:
        raise ValueError(
            f"`target_length` must be 1 or more. Received: {target_length}"
        )
    for name, letters in alphabets.items():
        if not letters or len({*letters}) < len(letters):
            raise ValueError(
                f"`{name}` must have one letter or more, and each of them "
                f"once. Received: {letters!r}"
            )


def teacher_forced(model):
    """Return a model of the same layers that is told the letters before each.

    To train it trains the layers of the model.

    Args:
        model: A model with a `Decoder`, as of `seq2seq`.

    Returns:
        An uncompiled `keras.Model` from the model's input and int32 `(batch,
        target_length)`, the number of the letter before each one, to what the
        model answers.

    Raises:
        ValueError: If the model has no decoder.

    Example:
    >>> told = zoo.teacher_forced(zoo.create_model("seq2seq"))
    >>> told.compile("adam", "sparse_categorical_crossentropy")
    """
    decoder = decoder_of(model)
    previous = keras.Input((decoder.length,), dtype="int32", name="previous")
    logits = decoder(decoder.input, previous=previous)
    outputs = model.get_layer("predictions")(logits)
    return keras.Model([model.input, previous], outputs, name=model.name)


def attention_of(model, inputs):
    """Return what a model looks at while it writes.

    Args:
        model: A model whose `Decoder` attends.
        inputs: A batch of what it takes.

    Returns:
        float32 `(batch, target_length, steps)`: for each letter that it writes
        the weight of each step that it has read. They sum to 1.

    Raises:
        ValueError: If the model has no decoder, or one that does not attend.
    """
    decoder = decoder_of(model)
    if len(decoder.input.shape) != 3:
        raise ValueError(f"The decoder of {model.name} does not attend.")
    encoder = keras.Model(model.input, decoder.input)
    _, attention = decoder(encoder(inputs), with_attention=True)
    return ops.convert_to_numpy(attention)


def decoder_of(model):
    """Return the layer of a model that writes.

    Raises:
        ValueError: If it has none.
    """
    for layer in model.layers:
        if isinstance(layer, Decoder):
            return layer
    raise ValueError(
        f"{model.name} writes no text: it has no layer of the type "
        "zoo.encoder_decoders.Decoder."
    )


def generate_text(model, inputs, *, seed=None, temperature=1.0):
    """Have a model write a text about each of its inputs.

    Args:
        model: A model that writes, as of `seq2seq` or `captioner`.
        inputs: A list of texts for a model that reads some, in capital or in
            small letters; else a batch of what the model takes, such as raw
            pixels.
        seed: None for the likeliest letter at each step; an integer to draw
            each letter as often as it is likely. The same input and seed give
            the same text in every batch.
        temperature: How far the draw may stray: below 1 it keeps to what is
            likely, above 1 it strays further.

    Returns:
        A list of texts.

    Raises:
        ValueError: If the model writes no text; if a text is empty or too long,
            or has a character that the model does not know; if there is no
            input; or if the temperature is not above 0.

    Example:
    >>> model = zoo.create_model("seq2seq")
    >>> [text] = zoo.generate_text(model, ["may 3, 1987"], seed=7)
    """
    decoder = decoder_of(model)
    if not len(inputs):
        raise ValueError("There is nothing to write about: no input was given.")
    for layer in model.layers:
        if isinstance(layer, LetterEmbedding):
            inputs = read_letters(inputs, layer.alphabet, model.input_shape[1])
    encoder = keras.Model(model.input, decoder.input)
    encoded = encoder(ops.convert_to_tensor(inputs), training=False)
    noise = None
    if seed is not None:
        noise = np.random.default_rng(seed).gumbel(
            size=(1, decoder.length, len(decoder.alphabet) + 1)
        )
        noise = _checked(temperature) * noise.astype("float32")
    logits = decoder(encoded, noise=noise)
    if noise is not None:
        logits = logits + noise
    letters = ops.convert_to_numpy(largest(logits))
    return write_letters(letters, decoder.alphabet)


def _checked(temperature):
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"`temperature` must be above 0. Received: {temperature}"
        )
    return temperature


def read_letters(texts, alphabet, length):
    """Return the numbers of the letters of texts, int32 `(n, length)`.

    Capital letters are read as small ones, unless the alphabet has any, and
    blanks around a text are left out. Zeros come before the first letter.

    Args:
        texts: A list of strings.
        alphabet: The letters; the first one has the number 1.
        length: How many letters a text may have.

    Raises:
        ValueError: If a text is none, is empty or too long, or has a character
            that is not in the alphabet.
    """
    if isinstance(texts, str):
        raise ValueError(f"`inputs` must be a list of texts, such as {[texts]}")
    numbers = {letter: i for i, letter in enumerate(alphabet, start=1)}
    rows = np.zeros((len(texts), length), "int32")
    for row, text in zip(rows, texts, strict=True):
        if not isinstance(text, str):
            raise ValueError(
                f"A text must be a string. Received: {type(text).__name__}"
            )
        letters = text.strip(BLANKS)
        if alphabet == alphabet.lower():
            letters = letters.lower()
        if not letters:
            raise ValueError("A text is empty; it needs a letter or more.")
        for letter in letters:
            if letter not in numbers:
                raise ValueError(
                    f"The character {letter!r} of {text[:QUOTED]!r} is not "
                    f"known. There are: {alphabet!r}"
                )
        if len(letters) > length:
            raise ValueError(
                f"A text may have {length} characters. {text[:QUOTED]!r} has "
                f"{len(letters)}."
            )
        row[-len(letters) :] = [numbers[letter] for letter in letters]
    return rows


def write_letters(numbers, alphabet):
    """Return texts of the numbers of their letters, up to the first zero.

    Args:
        numbers: int32 `(n, length)`.
        alphabet: The letters; the first one has the number 1.
    """
    ends = np.cumprod(numbers != 0, axis=1).sum(axis=1)
    return [
        "".join(alphabet[number - 1] for number in row[:end])
        for row, end in zip(numbers, ends, strict=True)
    ]
