"""Metrics in words."""

import re

COMPARABLE = {
    # metric: the loss of training that is the same thing
    "test_loss": "cross-entropy",
    "test_mse": "mean squared error",
}


def in_words(metric: str) -> str:
    """Return a metric's name for people: `Test MSE` for `test_mse`."""
    # The cross-entropy is called as Keras calls it, which names any loss so.
    metric = re.sub("loss$|cross_entropy$", "cross-entropy", metric)
    words = [
        word.upper() if word in ("mse", "pca", "psnr") else word
        for word in metric.split("_")
    ]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def remark_on_losses(run, metric: str) -> str | None:
    """Return why a metric is not what training called `loss`, or None."""
    loss = run.losses.get("train", COMPARABLE[metric])
    if loss == COMPARABLE[metric]:
        return None
    return f"not comparable with the losses of training, which are {loss}"
