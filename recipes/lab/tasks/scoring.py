"""What a trained model is worth on a split, whole and in order."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from recipes.lab import terminal
from recipes.lab.data.splits import Data, Split

BATCH = 1_000  # images that are predicted at once


def predict(
    model: keras.Model, images: np.ndarray, progress: bool = False
) -> np.ndarray:
    """Return what a model says of images, whole and in order.

    Each process asks for itself, on one device. Under a strategy Keras would
    share the images out, and wait for workers that ask for nothing.

    Args:
        model: A model of one output.
        images: `(n, ...)`, as the model takes them.
        progress: Whether to show a bar.

    Returns:
        float32 `(n, ...)`.
    """
    spec = tf.TensorSpec((None, *images.shape[1:]), images.dtype)

    @tf.function(input_signature=[spec], autograph=False)
    def answer(batch):
        return model(batch, training=False)

    bar = keras.utils.Progbar(len(images)) if progress else None
    answers = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        answers.append(answer(batch).numpy().astype("float32"))
        if bar:
            bar.add(len(batch))
    return np.concatenate(answers)


def score_classifier(model: keras.Model, split: Split, quiet: bool = False):
    """Score a classifier on a split, whole and in order.

    Args:
        model: A model whose outputs are probabilities.
        split: The images and labels, usually the test set's.
        quiet: Say nothing, for recipes that score many models.

    Returns:
        The metrics `test_accuracy` and `test_loss` (cross-entropy in nats), and
        the probabilities, float32 `(n, num_classes)`.
    """
    if not quiet:
        print(f"scoring {len(split):,} images", flush=True)
    probabilities = predict(model, split.images)
    chosen = probabilities[np.arange(len(split)), split.labels]
    accuracy = np.mean(probabilities.argmax(axis=1) == split.labels)
    loss = -np.mean(np.log(np.clip(chosen, 1e-7, 1.0)))
    metrics = {"test_accuracy": float(accuracy), "test_loss": float(loss)}
    return metrics, probabilities


def features_of(extractor: keras.Model, split: Split) -> Split:
    """Return a split with the features of its images in their place.

    Args:
        extractor: A model from raw pixels to features, as of
            `zoo.feature_extractor`.
        split: Images and labels.
    """
    many = len(split) > 10 * BATCH
    if many:
        print(f"computing the features of {len(split):,} images")
    features = predict(
        extractor, split.images, progress=many and terminal.shows_bars()
    )
    return dataclasses.replace(split, images=features)


def score_autoencoder(
    model: keras.Model, split: Split, pixels=None, quiet: bool = False
):
    """Compare the images of a split with what a model makes of them.

    Args:
        model: A model from raw pixels to pictures in [0, 1].
        split: The images, usually the test set's.
        pixels: What the model gets to see instead of the images, of their
            shape and scale: with noise, for one that is to take it away.
        quiet: Say nothing, for recipes that score many models.

    Returns:
        The metrics, and the reconstructions, float32, of the images' shape and
        clipped to [0, 1]. The metrics are means over all pixels and images:

        - `test_mse`: squared error.
        - `test_excess_cross_entropy`: binary cross-entropy in nats, less the
          entropy of the images, which no model can undercut.
        - `test_psnr`: peak signal-to-noise ratio in decibels, the mean over
          images.
    """
    if not quiet:
        print(f"scoring {len(split):,} images", flush=True)
    shown = split.images if pixels is None else pixels
    pictures = np.clip(predict(model, shown), 0, 1)
    truth = split.to_reconstruct().targets()
    metrics = {
        "test_mse": float(np.mean(squared_errors(pictures, truth))),
        "test_excess_cross_entropy": _cross_entropy(truth, pictures)
        - _cross_entropy(truth, truth),
        "test_psnr": psnr(pictures, truth),
    }
    return metrics, pictures


def squared_errors(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each picture's pixels, `(n,)`."""
    differences = (pictures - truth).reshape(len(truth), -1)
    return np.mean(np.square(differences), axis=1)


def psnr(pictures: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean peak signal-to-noise ratio of pictures, in decibels."""
    errors = np.maximum(squared_errors(pictures, truth), 1e-10)
    return float(np.mean(-10 * np.log10(errors)))


def add_noise(images: np.ndarray, deviation: float, seed: int) -> np.ndarray:
    """Return images with Gaussian noise, clipped to the range of pixels.

    Args:
        images: uint8 pixels.
        deviation: Standard deviation of the noise; 1 is the range of a pixel.
        seed: Seed of the noise.

    Returns:
        float32 pixels, 0 to 255.
    """
    random = np.random.default_rng(seed)
    noise = random.standard_normal(images.shape, "float32") * deviation
    return np.clip(images + 255 * noise, 0, 255)


def score_pca(data: Data, lengths) -> dict[int, float]:
    """Score principal component analysis as an autoencoder.

    It is fitted to the training images. Its reconstructions are clipped to
    [0, 1], which makes them better.

    Args:
        data: The data set.
        lengths: Numbers of components: lengths of the code. Those beyond the
            number of pixels, or of training images, get all there are.

    Returns:
        The mean squared error of the test images' pixels for each length.
    """
    from sklearn.decomposition import PCA

    def flatten(split):
        return split.to_reconstruct().targets().reshape(len(split), -1)

    print(
        f"fitting principal component analysis to {len(data.train):,} images",
        flush=True,
    )
    train = flatten(data.train)
    pca = PCA(min(max(lengths), *train.shape), svd_solver="covariance_eigh")
    pca.fit(train)
    truth = flatten(data.test)
    codes = pca.transform(truth)
    errors = {}
    for length in lengths:
        axes = pca.components_[:length]
        pictures = np.clip(codes[:, :length] @ axes + pca.mean_, 0, 1)
        errors[length] = float(np.mean(squared_errors(pictures, truth)))
    return errors


def _cross_entropy(truth, pictures) -> float:
    pictures = np.clip(pictures, 1e-7, 1 - 1e-7)
    nats = truth * np.log(pictures) + (1 - truth) * np.log1p(-pictures)
    return -float(np.mean(nats, dtype="float64"))
