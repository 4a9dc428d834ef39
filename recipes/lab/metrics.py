"""What is measured: the name of each number, its words, unit and direction."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that says how good a model is.

    Attributes:
        name: Its key in `metrics.json` and `results.csv`.
        words: Its name for people.
        unit: What it is counted in.
        digits: How many are written after the point.
        factor: What it is multiplied by to be in that unit.
        better: `"max"` if larger is better, `"min"` if smaller is.
        loss: What the losses of training are called if they are the same
            thing, and can be compared.
    """

    name: str
    words: str
    unit: str = ""
    digits: int = 5
    factor: float = 1
    better: Literal["max", "min"] = "min"
    loss: str | None = None

    def write(self, value: float) -> str:
        """Return a value with its unit: `99.47 %`."""
        return f"{self.factor * value:.{self.digits}f} {self.unit}".rstrip()

    def write_mean(self, mean: float, deviation: float) -> str:
        """Return a mean and its spread: `99.47 ± 0.05 %`."""
        deviation = f"{self.factor * deviation:.{self.digits}f}"
        mean = f"{self.factor * mean:.{self.digits}f}"
        return f"{mean} ± {deviation} {self.unit}".rstrip()

    def is_reached(self, value: float, floor: float) -> bool:
        """Whether a value is as good as another; NaN never is."""
        return value >= floor if self.better == "max" else value <= floor


ACCURACY = Metric(
    *("test_accuracy", "Test accuracy", "%", 2), factor=100, better="max"
)
WITH_MIRRORED = replace(
    ACCURACY,
    name="mirrored_too_test_accuracy",
    words="Test accuracy, mirror images averaged in",
)
WITH_SHIFTED = replace(
    ACCURACY,
    name="shifted_too_test_accuracy",
    words="Test accuracy, shifted images averaged in",
)
EXACT = Metric(*("test_exact", "Exact texts", "%", 2), factor=100, better="max")
LETTER_ACCURACY = Metric(
    *("test_letter_accuracy", "Right letters", "%", 2),
    factor=100,
    better="max",
)
FITTED_ACCURACY = Metric(
    *("fitted_accuracy", "Training accuracy", "%", 2),
    factor=100,
    better="max",
)
# Called as Keras calls it, which names any loss so.
CROSS_ENTROPY = Metric(
    *("test_loss", "Test cross-entropy", "nats", 4), loss="cross-entropy"
)
MSE = Metric("test_mse", "Test MSE", loss="mean squared error")
RMSE = Metric("test_rmse", "Test RMSE", digits=3)
MAE = Metric("test_mae", "Test MAE", digits=3)
R2 = Metric("test_r2", "Test R²", digits=3, better="max")
NORMALIZED_RMSE = Metric("normalized_rmse", "Normalized RMSE", digits=4)
PSNR = Metric("test_psnr", "Test PSNR", "dB", 2, better="max")
SSIM = Metric("test_ssim", "Test SSIM", digits=4, better="max")
SHARPNESS = Metric("test_sharpness", "Test sharpness", digits=3, better="max")
MEAN_SCORE = Metric(
    *("test_mean_score", "Mean test score", "%", 2), factor=100, better="max"
)
EXCESS_CROSS_ENTROPY = Metric(
    *("test_excess_cross_entropy", "Test excess cross-entropy", "nats")
)
MEAN_ACTIVATION = Metric(
    "test_mean_activation", "Mean activation of the code", digits=4
)
NEGATIVE_ELBO = Metric("test_negative_elbo", "Test negative ELBO", "nats", 2)
NLL = Metric("test_nll", "Test NLL", "nats", 2)
PSEUDO_LIKELIHOOD = Metric(
    *("test_pseudo_log_likelihood", "Test PLL", "nats", 2),  # as NLL
    better="max",
)
KL = Metric("test_kl", "Test KL divergence of the codes", "nats", 2)
FACTOR_CORRELATION = Metric(
    *("test_factor_correlation", "Factor correlation", "", 3),
    better="max",
)
OTHER_CORRELATION = Metric(
    "test_other_correlation", "Correlation with other factors", digits=3
)
ENTITY_F1 = Metric(
    *("entity_f1", "Names found (F1)", "%", 2), factor=100, better="max"
)
AUC = Metric("auc", "AUC", digits=4, better="max")
MOTIF_SHARE = Metric(
    *("motif_share", "Motif where the best filter answers", "%", 1),
    factor=100,
    better="max",
)
QUANTIZATION = Metric("quantization_error", "Quantization error", digits=3)
TOPOGRAPHIC = Metric(
    *("topographic_error", "Topographic error", "%", 2), factor=100
)
STORED = Metric("stored", "Patterns stored", digits=0, better="max")
RECALLED = Metric(
    *("recalled", "Recalled without a mistake", "%", 2),
    factor=100,
    better="max",
)
DIVERGENCE = Metric("test_divergence", "KL divergence", "nats", 3)
LOG_LIKELIHOOD = Metric(
    *("test_log_likelihood", "Test log-likelihood", "nats", 4), better="max"
)
MARGINALS = Metric(
    *("marginals_error", "Largest error of a marginal", "%", 2), factor=100
)
BIT_ERROR = Metric(*("test_bit_error", "Wrong bits", "%", 3), factor=100)
WHOLE_SEQUENCES = Metric(
    *("test_whole_sequences", "Sequences without a mistake", "%", 2),
    factor=100,
    better="max",
)
BITS = Metric("test_bits_per_letter", "Test bits per letter", digits=4)
ENTROPY_RATE = Metric("entropy_rate", "Entropy rate", "bits per letter", 4)
VISITS = Metric(
    *("test_visits_error", "Stationary distribution, off the letters", "%", 2),
    factor=100,
)
CENTROID_ERROR = Metric(*("test_centroid_error", "Steering error", "units", 2))
FARTHEST = Metric(
    *("drive_farthest", "Farthest from the middle of the road", "m", 2)
)
CRITICAL_ERROR = Metric(*("critical_temperature_error", "Error of Tc", "", 4))
CLASSIFIER_SCORE = Metric(
    *("test_classifier_score", "Classifier score", "", 2), better="max"
)
CLASSES_DRAWN = Metric(
    *("test_classes_drawn", "Classes drawn", "", 0), better="max"
)
FID = Metric("test_fid", "Test FID", digits=2)
REAL_FID = Metric("real_test_fid", "Test FID of training images", digits=2)
DRAWN_AS_ASKED = Metric(
    *("test_drawn_as_asked", "Drawn as asked", "%", 2),
    factor=100,
    better="max",
)
ACCURACY_FROM_DRAWN = Metric(
    *("test_accuracy_from_drawn", "TSTR accuracy", "%", 2),
    factor=100,
    better="max",
)

_METRICS = {
    metric.name: metric
    for metric in (
        *(EXACT, LETTER_ACCURACY),
        *(ACCURACY, WITH_MIRRORED, WITH_SHIFTED),
        *(FITTED_ACCURACY, CROSS_ENTROPY, RMSE, MAE, R2, MSE),
        *(PSNR, SSIM, SHARPNESS, MEAN_SCORE, EXCESS_CROSS_ENTROPY),
        *(NEGATIVE_ELBO, NLL, KL, PSEUDO_LIKELIHOOD),
        *(CLASSIFIER_SCORE, CLASSES_DRAWN, FID, REAL_FID),
        *(DRAWN_AS_ASKED, ACCURACY_FROM_DRAWN),
        *(AUC, ENTITY_F1, CRITICAL_ERROR, CENTROID_ERROR, FARTHEST),
        NORMALIZED_RMSE,
        *(QUANTIZATION, TOPOGRAPHIC, RECALLED, STORED),
        *(BITS, ENTROPY_RATE, VISITS, BIT_ERROR, WHOLE_SEQUENCES),
        *(DIVERGENCE, LOG_LIKELIHOOD, MARGINALS),
        *(MEAN_ACTIVATION, FACTOR_CORRELATION, OTHER_CORRELATION),
        MOTIF_SHARE,
    )
}
_ABBREVIATIONS = {
    **{"cpg": "CpG", "mackey": "Mackey", "glass": "Glass"},
    **{
        word: word.upper()
        for word in (
            *("dna", "gru", "irnn", "lru", "lstm", "mlp", "mse", "pca", "rnn"),
        )
    },
}


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of metrics, what people ask for first before the others."""
    order = [*_METRICS]
    return sorted(
        names, key=lambda n: order.index(n) if n in order else len(order)
    )


def named(name: str) -> Metric:
    """Return the metric of a name.

    What comes before a known name says whose it is: `pca_test_mse` is the test
    MSE of PCA. A name that nobody has described is written as it is.
    """
    if name in _METRICS:
        return _METRICS[name]
    metric, owner = Metric(name, ""), name
    for known in _METRICS.values():
        if name.endswith(f"_{known.name}"):
            metric, owner = known, name.removesuffix(f"_{known.name}")
    words = [_ABBREVIATIONS.get(word, word) for word in owner.split("_")]
    words[0] = words[0][0].upper() + words[0][1:]
    if metric.words:
        first, *others = metric.words.split()
        words += [first if first.isupper() else first.lower(), *others]
    return replace(metric, name=name, words=" ".join(words))


def remark_on_losses(run, metric: Metric) -> str | None:
    """Return why a metric is not what training called `loss`, or None.

    Of several trainings that is the one whose curves are drawn.
    """
    loss = run.losses.get(run.drawn, metric.loss)
    if metric.loss in (None, loss):
        return None
    return f"the losses of training are something else: {loss}"
