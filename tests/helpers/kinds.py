"""A small model of each kind, and its task."""

import numpy as np

import zoo
from helpers.builders import small_cnn
from helpers.seeds import set_seed
from helpers.tasks import sample
from recipes.lab import tasks, training
from recipes.lab.data import (
    captions,
    degradation,
    digit_tasks,
    styles,
    tables,
)
from recipes.lab.data.synthetic import (
    adding,
    bars,
    copies,
    methylation,
    patients,
    roads,
    written,
)
from recipes.lab.inputs.noise import LabeledNoise, Noise
from zoo import chains

WIDTHS = {"hidden_units": (8,), "latent_dim": 3}


def classifier():
    return tasks.Classification(sample()), small_cnn()


def autoencoder():
    model = zoo.deep_autoencoder(output_activation="linear", **WIDTHS)
    return tasks.Reconstruction(sample()), model


def variational():
    return tasks.VariationalGeneration(sample()), zoo.vae(**WIDTHS)


def machine():
    return tasks.EnergyBasedGeneration(sample()), zoo.rbm(hidden_units=8)


def generator():
    task = tasks.Generation(sample(), Noise(4), small_cnn())
    model = zoo.dcgan(filters=(4, 2), choices=2, latent_dim=4)
    return task, model.get_layer("generator")


def conditional_generator():
    inputs = LabeledNoise(4, sample().class_names)
    task = tasks.ConditionalGeneration(sample(), inputs, small_cnn())
    model = zoo.conditional_gan(filters=(4, 2), latent_dim=4)
    return task, model.get_layer("generator")


def drawer():
    data = styles.to_draw(sample())
    model = training.create_model(
        data, "deconvolution", image_shape=sample().inputs.shape
    )
    return tasks.Drawing(data), model


def restorer():
    level = 1.5, 0.1
    data = degradation.to_restore(sample(), *level)
    model = zoo.deblurring_gan(filters=(4, 4), critic_filters=(4,))
    generator = zoo.feature_extractor(model, "generator")
    return tasks.Restoration(data, *level), generator


def regression():
    data = tables.diabetes()
    model = zoo.linear_neuron()
    model.get_layer("standardization").adapt(data.train.inputs)
    return tasks.Regression(data), model


def several_heads(names=None):
    data = digit_tasks.with_tasks(sample())
    if names:
        data = data.of_heads(names)
    heads = {
        head.name: len(head.class_names) or (20.0, 5.0) for head in data.heads
    }
    model = zoo.multi_task_cnn(heads=heads, filters=(4, 8), hidden_units=8)
    return tasks.MultiTask(data), model


def of_two_classes():
    data = tables.breast_cancer()
    model = zoo.logistic_neuron()
    model.get_layer("standardization").adapt(data.train.inputs)
    return tasks.Classification(data), model


def reader():
    data = patients.load(small=True)
    model = zoo.heart_failure(embedding_units=4, hidden_units=8)
    return tasks.Classification(data), model


def genome():
    data = methylation.load(small=True)
    sizes = {"filters": (4, 4), "cpg_units": 4, "joint_units": (4,)}
    model = zoo.deepcpg(**data.inputs.sizes, **sizes, dna_units=4)
    return tasks.Classification(data), model


def driver():
    model = zoo.alvinn(input_shape=(30, 32, 1), steering_units=roads.UNITS)
    return tasks.Steering(roads.load(small=True)), model


def adder():
    model = zoo.sequence_regressor((adding.SMALL_STEPS, 2), hidden_units=8)
    return tasks.Regression(adding.load(200, small=True)), model


def translator(attention=True):
    data = written.load(small=True)
    set_seed(0)  # no letter may hang on rounding
    model = training.create_model(
        *(data, "seq2seq"),
        embedding_units=4,
        hidden_units=8,
        attention=attention,
    )
    return tasks.Translation(data), model


def spelling():
    data = captions.spelled(sample())
    set_seed(0)
    model = training.create_model(
        *(data, "captioner"),
        filters=(4, 8),
        feature_units=8,
        embedding_units=4,
        hidden_units=8,
    )
    return tasks.Translation(data), model


def letter_chain():
    data = written.load(small=True)
    model = training.create_model(data, "markov_chain")
    random = np.random.default_rng(0)
    states = 1 + len(data.inputs.vocabulary)
    matrix = random.dirichlet(np.ones(states), states)
    chains.set_transitions(model, matrix)
    return tasks.NextLetter(data), model


def counted_machine():
    data = bars.load(small=True)
    model = training.create_model(data, "boltzmann_machine", chains=4)
    return tasks.CountedGeneration(data), model


def copier():
    data = copies.load(5, small=True)
    sizes = {"controller_units": 8, "locations": 8, "width": 4}
    model = training.create_model(data, "neural_turing_machine", **sizes)
    # As large as learned ones, so that it matters where the heads are.
    model.set_weights([5 * weight for weight in model.get_weights()])
    return tasks.Copying(data), model
