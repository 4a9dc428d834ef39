"""Models so small that the right answers are known, and images for them."""

import keras
import numpy as np

from recipes.lab import tasks
from recipes.lab.data.splits import Split


def score_classifier(model, split):
    scores = tasks.Classification(None).score(model, split)
    return scores.metrics, scores.outputs


def model_of(layer, shape=(2, 2, 1)):
    """A model of one layer."""
    return keras.Sequential([keras.Input(shape), layer])


def split_of(pixels, labels=None):
    """Images of two by two pixels, one after another."""
    images = np.array(pixels, "uint8").reshape(-1, 2, 2, 1)
    labels = np.zeros(len(images)) if labels is None else labels
    return Split(images, np.array(labels, "int32"))


def classifier():
    """A model whose probabilities are the images, in parts of 255."""
    return model_of(keras.layers.Rescaling(1 / 255), (3,))
