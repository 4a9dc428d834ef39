"""Metrics in words."""

import re


def in_words(metric: str) -> str:
    """Return a metric's name for people: `Test MSE` for `test_mse`."""
    # The cross-entropy is called as Keras calls it, which names any loss so.
    metric = re.sub("loss$|cross_entropy$", "cross-entropy", metric)
    words = [
        word.upper() if word in ("mse", "pca", "psnr") else word
        for word in metric.split("_")
    ]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])
