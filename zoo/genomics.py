"""Networks that read genomes: the letters of DNA, and what is bound to them."""

import keras
from keras import layers

from zoo._registry import register_model

BASES = "ACGT"  # their numbers are their places; the next number is unknown
MODULES = ("dna", "cpg")


@register_model(
    task="classification",
    inputs="sites",
    lecture="deep learning in biology: the methylation of single cells",
    reference="Angermueller, Lee, Reik and Stegle 2017",
)
def deepcpg(
    modules=MODULES,
    *,
    dna_length=1001,
    cells=18,
    neighbors=50,
    max_distance=25_000,
    filters=(128, 256),
    kernel_sizes=(11, 3),
    pool_sizes=(4, 2),
    dna_units=128,
    cpg_units=256,
    joint_units=(512, 512),
    dropout=0.0,
    unroll=False,
    classifier_activation="sigmoid",
    name="deepcpg",
):
    """Build DeepCpG, which says whether a site of a genome is methylated.

    A site is a C that a G follows. The DNA module reads the letters around it,
    and the CpG module what is known of the nearest such sites in several cells,
    a cell at each step. The joint module reads what both have made of that.

    | layer       | output   | parameters |
    | ----------- | -------- | ---------- |
    | bases       | 1001×4   | (fixed)    |
    | conv1       | 991×128  | 5,760      |
    | pool1       | 247×128  |            |
    | conv2       | 245×256  | 98,560     |
    | pool2       | 122×256  |            |
    | flatten     | 31232    |            |
    | dna_hidden  | 128      | 3,997,824  |
    | distances   | 18×50×2  |            |
    | in_a_row    | 18×100   |            |
    | both_ways   | 512      | 548,352    |
    | concatenate | 640      |            |
    | joint1      | 512      | 328,192    |
    | joint2      | 512      | 262,656    |
    | predictions | 1        | 513        |
    | sum         |          | 5,241,857  |

    Args:
        modules: What the network has: `("dna", "cpg")` is the joint network.
            One of them alone has `predictions` right behind it, which makes
            548,865 parameters of the CpG module.
        dna_length: Number of letters, with the site in the middle.
        cells: Number of cells that have been measured.
        neighbors: Number of sites that are known of each.
        max_distance: Distance, in letters, that the network sees as 1.
        filters: Filters of the convolutions over DNA.
        kernel_sizes: Letters that a filter sees, for each convolution.
        pool_sizes: Width of the maxima behind each convolution.
        dna_units: Width of the dense layer behind them.
        cpg_units: Width of the recurrent layer, in each direction.
        joint_units: Width of the joint module's dense layers.
        dropout: Fraction of the units that training drops behind each dense
            layer and the recurrent one.
        unroll: Whether to write all steps into the graph instead of a loop.
        classifier_activation: `"sigmoid"` for probabilities, `None` for logits.

    Returns:
        An uncompiled `keras.Model`. It takes a dictionary: `dna`, int32
        `(batch, dna_length)`, the places of the letters in `ACGT`, or 4 if one
        is unknown; `cpg`, `(batch, cells, neighbors, 2)`, for each known site
        1 if it is methylated, else 0, and its distance. It returns
        `(batch, 1)`: the probability that the site is methylated.

    Raises:
        ValueError: If there is no module, or one that is not known.

    Example:
    >>> joint = zoo.create_model("deepcpg", dna_length=101, neighbors=20)
    >>> module = zoo.create_model("deepcpg", modules=["cpg"])

    Reference:
    - C. Angermueller, H. J. Lee, W. Reik, O. Stegle, DeepCpG: accurate
      prediction of single-cell DNA methylation states using deep learning,
      2017.

    Departures from the paper:
    - One cell is predicted, not all of those that are read.
    - The recurrent layer reads the sites as they are, without a dense layer
      before it.
    """
    unknown = set(modules) - set(MODULES)
    if unknown or not modules:
        raise ValueError(
            f"`modules` must be one or both of {MODULES}. Received: {modules!r}"
        )
    inputs, features = {}, []

    if "dna" in modules:
        inputs["dna"] = keras.Input((dna_length,), dtype="int32", name="dna")
        # A letter is a one among zeros, an unknown one four zeros.
        x = layers.Embedding(
            *(len(BASES) + 1, len(BASES), "identity"),
            trainable=False,
            name="bases",
        )(inputs["dna"])
        sizes = zip(filters, kernel_sizes, pool_sizes, strict=True)
        for i, (maps, kernel_size, pool_size) in enumerate(sizes, start=1):
            x = layers.Conv1D(
                maps, kernel_size, activation="relu", name=f"conv{i}"
            )(x)
            x = layers.MaxPooling1D(pool_size, name=f"pool{i}")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(dna_units, activation="relu", name="dna_hidden")(x)
        features.append(_dropped(x, dropout, "dna_dropout"))

    if "cpg" in modules:
        shape = cells, neighbors, 2
        inputs["cpg"] = keras.Input(shape, name="cpg")
        x = layers.Rescaling([1.0, 1 / max_distance], name="distances")(
            inputs["cpg"]
        )
        x = layers.Reshape((cells, 2 * neighbors), name="in_a_row")(x)
        x = layers.Bidirectional(
            # As the paper has it: what is reset is the state, not its product.
            layers.GRU(cpg_units, reset_after=False, unroll=unroll, name="gru"),
            name="both_ways",
        )(x)
        features.append(_dropped(x, dropout, "cpg_dropout"))

    if len(features) > 1:
        x = layers.Concatenate(name="concatenate")(features)
        for i, units in enumerate(joint_units, start=1):
            x = layers.Dense(units, activation="relu", name=f"joint{i}")(x)
            x = _dropped(x, dropout, f"joint_dropout{i}")
    else:
        [x] = features
    outputs = layers.Dense(
        1, activation=classifier_activation, name="predictions"
    )(x)
    return keras.Model(inputs, outputs, name=name)


def _dropped(x, dropout, name):
    return layers.Dropout(dropout, name=name)(x) if dropout else x
