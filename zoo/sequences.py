"""Networks that read sequences of words, codes or letters, as their numbers.

The number 0 stands for nothing: it comes before the first word of a short text.
"""

import keras
from keras import layers

from zoo._registry import register_model


@register_model(
    task="classification",
    inputs="tokens",
    lecture="recurrent networks in medicine: the onset of heart failure",
    reference="Choi et al. 2017",
)
def heart_failure(
    input_shape=(30,),
    num_classes=2,
    *,
    vocabulary_size=31,
    embedding_units=16,
    hidden_units=64,
    dropout=0.0,
    unroll=False,
    classifier_activation="softmax",
    name="heart_failure",
):
    """Build a network that reads a history of codes and says what follows.

    Each code becomes a row of numbers that is learned, and gated recurrent
    units read these rows one after the other.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | embedding   | 30×16  | 512        |
    | gru         | 64     | 15,744     |
    | predictions | 2      | 130        |
    | sum         |        | 16,386     |

    Args:
        input_shape: How many codes are read, as a tuple.
        vocabulary_size: How many codes there are; numbers go from 0, which is
            none, to this.
        embedding_units: Length of the row that stands for a code.
        hidden_units: Width of the recurrent layer.
        dropout: Fraction of the last state that training drops before
            `predictions`.
        unroll: Whether to write all steps into the graph instead of a loop.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers of
        codes to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no code.

    Example:
    >>> model = zoo.create_model("heart_failure", vocabulary_size=500)

    Reference:
    - E. Choi, A. Schuetz, W. F. Stewart, J. Sun, Using recurrent neural network
      models for early detection of heart failure onset, 2017.

    Departures from the paper:
    - The rows of the codes are learned with the rest, not before; the time
      between two codes is left out.
    """
    _check(vocabulary_size)
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = layers.Embedding(
        vocabulary_size + 1, embedding_units, name="embedding"
    )(tokens)
    x = layers.GRU(hidden_units, unroll=unroll, name="gru")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(tokens, outputs, name=name)


@register_model(
    task="classification",
    inputs="tokens",
    lecture="features that people choose: a template for named entities",
    reference="Finkel, Grenager and Manning 2005",
)
def entity_template(
    input_shape=(32,),
    num_classes=4,
    *,
    vocabulary_size=1_000,
    embedding_units=16,
    classifier_activation="softmax",
    name="entity_template",
):
    """Build a tagger that adds up what the features of a word speak for.

    A word of a sentence is described by features that people chose, such as the
    word before it or its last letters. Each of them has a row of numbers, and a
    linear classifier reads the mean of the rows: all that is learned is how
    much each feature counts, and no two of them together say more than each.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | embedding   | 32×16  | 16,016     |
    | mean        | 16     |            |
    | predictions | 4      | 68         |
    | sum         |        | 16,084     |

    Args:
        input_shape: How many features a word may have, as a tuple.
        vocabulary_size: How many features there are; numbers go from 0, which
            is none, to this.
        embedding_units: Length of the row of a feature.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers of
        features to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no feature.

    Example:
    >>> model = zoo.create_model("entity_template", vocabulary_size=5_000)

    Reference:
    - J. R. Finkel, T. Grenager, C. Manning, Incorporating non-local information
      into information extraction systems by Gibbs sampling, 2005.
    - A. Joulin et al., Bag of tricks for efficient text classification, 2017.

    Departures from the paper:
    - Each word is tagged by itself, without a random field over the tags of the
      sentence; the weights of a feature are a product of two matrices, as in
      the second paper.
    """
    _check(vocabulary_size)
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = layers.Embedding(
        vocabulary_size + 1, embedding_units, name="embedding"
    )(tokens)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(tokens, outputs, name=name)


@register_model(
    task="classification",
    inputs="tokens",
    lecture="recurrent networks, many to one: sentiment",
    reference="Hochreiter and Schmidhuber 1997",
)
def sentiment(
    input_shape=(13,),
    num_classes=2,
    *,
    vocabulary_size=41,
    embedding_units=16,
    hidden_units=32,
    classifier_activation="softmax",
    name="sentiment",
):
    """Build a network that reads a sentence and says what its writer thinks.

    Each word becomes a row of numbers that is learned, and a long short-term
    memory reads these rows one after the other. What it remembers after the
    last one is classified: many words, one answer.

    | layer       | output | parameters |
    | ----------- | ------ | ---------- |
    | embedding   | 13×16  | 672        |
    | lstm        | 32     | 6,272      |
    | predictions | 2      | 66         |
    | sum         |        | 7,010      |

    Args:
        input_shape: How many words are read, as a tuple.
        vocabulary_size: How many words there are; numbers go from 0, which is
            none, to this.
        embedding_units: Length of the row that stands for a word.
        hidden_units: Width of the recurrent layer.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` numbers of
        words to `(batch, num_classes)`.

    Raises:
        ValueError: If there is no word.

    Example:
    >>> model = zoo.create_model("sentiment", vocabulary_size=500)

    Reference:
    - S. Hochreiter, J. Schmidhuber, Long short-term memory, 1997.
    """
    _check(vocabulary_size)
    tokens = keras.Input(input_shape, dtype="int32", name="tokens")
    x = layers.Embedding(
        vocabulary_size + 1, embedding_units, name="embedding"
    )(tokens)
    x = layers.LSTM(hidden_units, name="lstm")(x)
    outputs = layers.Dense(
        num_classes, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(tokens, outputs, name=name)


def _check(vocabulary_size):
    if vocabulary_size < 1:
        raise ValueError(
            f"`vocabulary_size` must be 1 or more. Received: {vocabulary_size}"
        )
