"""The Wiener filter: the best that is linear, and the same everywhere."""

from collections.abc import Callable

import numpy as np

from recipes.lab.data.degradation import AT_ONCE, point_spread
from recipes.lab.data.splits import in_unit_range


def wiener_filter(images: np.ndarray, blur: float, noise: float) -> Callable:
    """Return the Wiener filter for blurred and noisy pictures.

    It knows all that such a filter can know: the point-spread function, the
    level of the noise, and of the pictures their mean and the mean power
    spectrum of what differs from it. Of all filters that treat every place of a
    picture in the same way, it leaves the least squared error. As others do
    that compute by Fourier transforms, it takes a picture for one tile of many.

    Args:
        images: Sharp images to learn mean and spectrum from, uint8
            `(n, height, width, channels)`.
        blur: Standard deviation of the Gaussian point-spread function, in
            pixels.
        noise: Standard deviation of the noise; 1 is the range of a pixel.

    Returns:
        A function from degraded pictures in [0, 1], `(n, height, width,
        channels)`, to restored ones, which may leave [0, 1].

    Reference: Wiener 1949.
    """
    height, width = images.shape[1:3]
    blurring = _transform(height, blur)[:, np.newaxis, np.newaxis]
    blurring = blurring * _transform(width, blur)[: width // 2 + 1, np.newaxis]
    mean = images.mean(axis=0, dtype="float64")[np.newaxis] / 255
    power = sum(
        np.sum(np.abs(_spectra(in_unit_range(part) - mean)) ** 2, axis=0)
        for part in _batches(images)
    ) / len(images)
    # The power of white noise is the same at every frequency.
    noise_power = noise**2 * height * width
    total = blurring**2 * power + noise_power
    gain = blurring * power / np.maximum(total, np.finfo("float64").tiny)
    blurred_mean = blurring * _spectra(mean)

    def restore(pictures: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                np.fft.irfft2(
                    gain * (_spectra(part) - blurred_mean),
                    s=(height, width),
                    axes=(1, 2),
                )
                + mean
                for part in _batches(pictures)
            ]
        ).astype("float32")

    return restore


def _transform(side: int, blur: float) -> np.ndarray:
    """Return the Fourier transform of the point-spread function on a ring.

    It is real, for the function is symmetric.
    """
    distances = np.fft.fftfreq(side, 1 / side)
    around = [distances + side * turn for turn in range(-3, 4)]
    return np.fft.fft(sum(point_spread(x, blur) for x in around)).real


def _spectra(pictures):
    return np.fft.rfft2(pictures, axes=(1, 2))


def _batches(pictures):
    for start in range(0, len(pictures), AT_ONCE):
        yield pictures[start : start + AT_ONCE]
