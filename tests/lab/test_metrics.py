"""Numbers are written as what they measure, wherever people meet them."""

import types

import pytest

from recipes.lab.metrics import (
    ACCURACY,
    CROSS_ENTROPY,
    MSE,
    Metric,
    in_order,
    named,
    remark_on_losses,
)


@pytest.mark.parametrize(
    ("name", "value", "words", "written"),
    [
        ("test_accuracy", 0.99474, "Test accuracy", "99.47 %"),
        ("test_loss", 0.12345, "Test cross-entropy", "0.1235 nats"),
        ("test_mse", 0.0092719, "Test MSE", "0.00927"),
        ("pca_test_mse", 0.0092719, "PCA test MSE", "0.00927"),
        ("dna_auc", 0.71, "DNA AUC", "0.7100"),
        ("noisy_test_psnr", 9.4321, "Noisy test PSNR", "9.43 dB"),
        ("scratch_test_accuracy", 1.0, "Scratch test accuracy", "100.00 %"),
        (
            *("mirrored_too_test_accuracy", 0.9463),
            *("Test accuracy, mirror images averaged in", "94.63 %"),
        ),
        ("modes", 10, "Modes", "10.00000"),
    ],
)
def test_a_metric_is_known_by_its_name(name, value, words, written):
    metric = named(name)
    assert (metric.name, metric.words) == (name, words)
    assert metric.write(value) == written


def test_a_mean_is_written_with_its_spread():
    assert ACCURACY.write_mean(0.99474, 0.00051) == "99.47 ± 0.05 %"
    assert MSE.write_mean(0.009272, 0.000012) == "0.00927 ± 0.00001"


def test_whose_metric_it_is_changes_nothing_else():
    assert named("pca_test_mse").better == MSE.better == "min"
    assert named("scratch_test_accuracy").better == ACCURACY.better == "max"
    assert named("pca_test_mse").loss == MSE.loss


def test_a_metric_must_be_told_apart_by_its_name():
    assert named("test_mse") is MSE
    assert named("mse") == Metric("mse", "MSE")


def test_what_people_ask_for_first_comes_first():
    names = ["own", "test_excess_cross_entropy", "test_mse", "test_accuracy"]
    assert in_order(names) == [*reversed(names[1:]), "own"]


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("map", "are something else: quantization error"),
        ("train", "are something else: mean squared error"),
        ("column1", None),
        ("by hand", None),
    ],
)
def test_what_is_remarked_on_is_the_loss_that_is_drawn(drawn, said):
    losses = {
        "map": "quantization error",
        "train": "mean squared error",
        "column1": CROSS_ENTROPY.loss,
    }
    run = types.SimpleNamespace(losses=losses, drawn=drawn)
    remark = remark_on_losses(run, CROSS_ENTROPY)
    assert remark is None if said is None else remark.endswith(said)
