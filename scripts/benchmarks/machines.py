"""Restricted Boltzmann machines of the zoo and of scikit-learn.

Both have 100 hidden units and learn from 10,000 digits in turn, A B A B, each
in a process of its own. scikit-learn's settings are those of its documentation
but for the 100 units. The score is the exact pseudo-log-likelihood of 500 of
the images.

Measured: ours is 4 to 5 nats better in 0.28 of the time on two quiet cores, a
quarter of which is the tracing of its first step; and in 0.04 of it where two
other programs ran, for scikit-learn's threads wait for each other.
"""

import statistics

from benchmarks.clocks import Clock, Measured, alone, in_words, print_table, row
from benchmarks.recipe_runs import images_and_labels

MACHINE_IMAGES, MACHINE_UNITS = 10_000, 100


def add_flags(parser) -> None:
    """Add what this measurement can be asked for."""
    parser.add_argument("--rounds", type=int, default=3)


def main(arguments) -> int:
    """Measure and print; return the exit code."""
    compare_machines(arguments.rounds)
    return 0


def compare_machines(rounds: int) -> None:
    """Print ours and scikit-learn's seconds for a Boltzmann machine."""
    (images, _), _ = images_and_labels("mnist")
    images = images[:MACHINE_IMAGES]
    pairs = []
    for seed in range(rounds):
        ours = alone(train_machine, images, seed)
        other = alone(train_machine_of_scikit_learn, images, seed)
        pairs.append((ours, other))
        print(
            f"round {seed + 1} of {rounds}: ours {in_words(ours)}; "
            f"scikit-learn {in_words(other)}",
            flush=True,
        )
    print_table([row("Boltzmann machine", pairs)], "sklearn", rounds)


def train_machine(images, seed: int) -> Measured:
    """Train a machine of the zoo by plain `fit`, tracing included."""
    import keras

    import zoo

    keras.utils.set_random_seed(seed)
    model = zoo.create_model("rbm", hidden_units=MACHINE_UNITS)
    epochs, batch, rate = 5, 20, 0.05
    falling = keras.optimizers.schedules.PolynomialDecay(
        rate, epochs * (len(images) // batch), rate / 100
    )
    model.compile(
        keras.optimizers.SGD(falling, momentum=0.9), steps_per_execution=50
    )
    clock = Clock()
    model.fit(images, batch_size=batch, epochs=epochs, verbose=0)
    wall, cpu = clock.read()
    score = score_machine(model.get_layer("machine"), images)
    return Measured(wall, cpu, score)


def train_machine_of_scikit_learn(images, seed: int) -> Measured:
    """Train a machine of scikit-learn."""
    from sklearn.neural_network import BernoulliRBM

    from zoo.restricted_boltzmann import RestrictedBoltzmann

    rows = images.reshape(len(images), -1) / 255
    other = BernoulliRBM(
        MACHINE_UNITS, learning_rate=0.05, n_iter=10, random_state=seed
    )
    clock = Clock()
    other.fit(rows)
    wall, cpu = clock.read()
    machine = RestrictedBoltzmann(MACHINE_UNITS)
    machine.build(rows.shape)
    machine.kernel.assign(other.components_.T)
    machine.bias.assign(other.intercept_hidden_)
    machine.visible_bias.assign(other.intercept_visible_)
    return Measured(wall, cpu, score_machine(machine, images))


def score_machine(machine, images) -> float:
    """Return the mean pseudo-log-likelihood of the first images, in nats."""
    from zoo import restricted_boltzmann

    rows = images[:500].reshape(-1, images[0].size) / 255
    parts = [
        restricted_boltzmann.pseudo_log_likelihood(
            machine, rows[i : i + 50]
        ).numpy()
        for i in range(0, len(rows), 50)
    ]
    return statistics.mean(float(nats) for part in parts for nats in part)
