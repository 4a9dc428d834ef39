"""A chart of neural networks: which there are, and of which cells they are.

The networks and their cells are those of "A mostly complete chart of Neural
Networks" by F. van Veen, 2016. How they are laid out here is our own.
"""

import enum
from dataclasses import dataclass
from typing import Literal


class Cell(enum.Enum):
    """A kind of cell; the value is its name for people."""

    INPUT = "input"
    BACKFED_INPUT = "backfed input"
    NOISY_INPUT = "noisy input"
    HIDDEN = "hidden"
    PROBABILISTIC_HIDDEN = "probabilistic hidden"
    SPIKING_HIDDEN = "spiking hidden"
    OUTPUT = "output"
    MATCH_INPUT_OUTPUT = "match input output"
    RECURRENT = "recurrent"
    MEMORY = "memory"
    DIFFERENT_MEMORY = "different memory"
    KERNEL = "kernel"
    CONVOLUTION = "convolution or pool"


# How the cells of a network are linked: each column to the next one, cell by
# cell where they are near to each other, at random; with shortcuts over
# columns; or all cells to all others.
Links = Literal["layers", "near", "random", "shortcuts", "all"]


@dataclass(frozen=True)
class ChartNetwork:
    """A network of the chart.

    Attributes:
        short: Its short name on the chart: `"LSTM"`.
        name: Its name.
        columns: The cells from left to right: of which kind, and how many are
            drawn below each other.
        links: How they are linked.
        models: Names of the builders that make such networks, in teaching
            order.
    """

    short: str
    name: str
    columns: tuple[tuple[Cell, int], ...]
    links: Links = "layers"
    models: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The kinds of its cells, each once, from left to right."""
        return tuple(dict.fromkeys(cell for cell, _ in self.columns))


def _column(kind: Cell):
    return lambda count: (kind, count)


_in, _backfed, _noisy, _hidden = map(
    _column,
    (Cell.INPUT, Cell.BACKFED_INPUT, Cell.NOISY_INPUT, Cell.HIDDEN),
)
_chance, _spiking, _out, _match = map(
    _column,
    (
        *(Cell.PROBABILISTIC_HIDDEN, Cell.SPIKING_HIDDEN),
        *(Cell.OUTPUT, Cell.MATCH_INPUT_OUTPUT),
    ),
)
_recurrent, _memory, _gated = map(
    _column, (Cell.RECURRENT, Cell.MEMORY, Cell.DIFFERENT_MEMORY)
)
_kernel, _pool = map(_column, (Cell.KERNEL, Cell.CONVOLUTION))


def _network(short, name, *columns, links="layers"):
    return ChartNetwork(short, name, columns, links)


# In the order of the chart, row by row.
CHARTS = {
    "2016": (
        _network("P", "Perceptron", _in(2), _out(1)),
        _network("FF", "Feed forward", _in(2), _hidden(2), _out(1)),
        _network("RBF", "Radial basis network", _in(2), _hidden(3), _out(1)),
        _network(
            *("DFF", "Deep feed forward"),
            *(_in(3), _hidden(4), _hidden(4), _out(2)),
        ),
        _network(
            *("RNN", "Recurrent neural network"),
            *(_in(3), _recurrent(3), _recurrent(3), _out(3)),
        ),
        _network(
            *("LSTM", "Long short-term memory"),
            *(_in(3), _memory(3), _memory(3), _out(3)),
        ),
        _network(
            *("GRU", "Gated recurrent unit"),
            *(_in(3), _gated(3), _gated(3), _out(3)),
        ),
        _network("AE", "Autoencoder", _in(4), _hidden(2), _match(4)),
        _network(
            "VAE", "Variational autoencoder", _in(4), _chance(2), _match(4)
        ),
        _network(
            "DAE", "Denoising autoencoder", _noisy(4), _hidden(2), _match(4)
        ),
        _network("SAE", "Sparse autoencoder", _in(2), _hidden(4), _match(2)),
        _network("MC", "Markov chain", _chance(6), links="all"),
        _network("HN", "Hopfield network", _backfed(8), links="all"),
        _network(
            *("BM", "Boltzmann machine"),
            *(_backfed(4), _chance(4)),
            links="all",
        ),
        _network(
            *("RBM", "Restricted Boltzmann machine"),
            *(_backfed(4), _chance(3)),
        ),
        _network(
            *("DBN", "Deep belief network"),
            *(_backfed(4), _chance(3), _chance(4), _chance(2)),
        ),
        _network(
            *("DCN", "Deep convolutional network"),
            *(_in(5), _kernel(4), _pool(3), _hidden(3), _out(2)),
            links="near",
        ),
        _network(
            *("DN", "Deconvolutional network"),
            *(_in(2), _hidden(3), _pool(3), _kernel(4), _out(5)),
            links="near",
        ),
        _network(
            *("DCIGN", "Deep convolutional inverse graphics network"),
            *(_in(5), _kernel(4), _pool(3), _chance(2)),
            *(_pool(3), _kernel(4), _out(5)),
            links="near",
        ),
        _network(
            *("GAN", "Generative adversarial network"),
            *(_backfed(2), _hidden(3), _match(4), _hidden(3), _match(1)),
        ),
        _network(
            *("LSM", "Liquid state machine"),
            *(_in(3), _spiking(4), _spiking(4), _out(2)),
            links="random",
        ),
        _network(
            *("ELM", "Extreme learning machine"),
            *(_in(3), _hidden(4), _hidden(4), _out(2)),
            links="random",
        ),
        _network(
            *("ESN", "Echo state network"),
            *(_in(3), _recurrent(4), _recurrent(4), _out(2)),
            links="random",
        ),
        _network(
            *("DRN", "Deep residual network"),
            *(_in(2), _hidden(3), _hidden(3), _hidden(3), _hidden(3), _out(2)),
            links="shortcuts",
        ),
        _network("KN", "Kohonen network", _in(2), _hidden(3), _hidden(3)),
        _network("SVM", "Support vector machine", _in(3), _hidden(4), _out(1)),
        _network(
            *("NTM", "Neural Turing machine"),
            *(_in(3), _hidden(3), _memory(4), _hidden(3), _out(3)),
        ),
    )
}
SHORT_NAMES = tuple(network.short for network in CHARTS["2016"])
