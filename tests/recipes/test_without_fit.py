"""Recipes without `fit`: they resume, and export what they computed."""

import numpy as np
import pytest
from helpers.commands import is_a_usage_error, run_recipe
from helpers.tasks import sample

import zoo
from recipes import mnist_by_hand, mnist_committee, mnist_elm
from recipes.lab.flags import RunOptions
from recipes.lab.training import closed_form
from recipes.lab.training.progress import Progress


def by_hand(output, **options):
    options = RunOptions(
        dry_run=True, strategy="none", output_dir=output, **options
    )
    config = mnist_by_hand.Config(hidden_units=(16,), epochs=3, run=options)
    return mnist_by_hand.train(config)


def elm(output):
    options = RunOptions(dry_run=True, strategy="none", output_dir=output)
    return mnist_elm.train(mnist_elm.Config(filters=4, run=options))


def without_times(metrics):
    return {k: v for k, v in metrics.items() if not k.endswith("seconds")}


def weights_of(output):
    """Return the arrays of the newest checkpoint, without its history."""
    *_, newest = sorted(output.glob("runs/*/1/checkpoints/train/*.npz"))
    with np.load(newest) as file:
        return {name: file[name] for name in file if name != "meta"}


@pytest.mark.thorough
def test_one_pass_that_is_cut_off_is_repeated(tmp_path, no_export, monkeypatch):
    whole = elm(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "_save", _press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            elm(tmp_path / "cut")
    assert without_times(elm(tmp_path / "cut")) == without_times(whole)
    left, right = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert left.keys() == right.keys()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name])


def _press_ctrl_c(progress, epoch):
    raise KeyboardInterrupt


@pytest.mark.thorough
def test_precision_of_the_layers_may_be_lower(tmp_path, no_export):
    full, half = (
        by_hand(tmp_path / precision, precision=precision)
        for precision in ("float32", "mixed_bfloat16")
    )
    assert half["test_loss"] == pytest.approx(full["test_loss"], rel=0.05)


@pytest.mark.thorough
def test_exported_elm_has_the_scores_of_its_regression(tmp_path, capsys):
    flags = ["--filters", 4, "--dry-run", "--output-dir", tmp_path]
    assert run_recipe("mnist_elm", *flags) == 0
    assert "penalty " in capsys.readouterr().out
    export = tmp_path / "saved_models" / "mnist_elm-sample" / "1"
    assert sum(f.stat().st_size for f in export.rglob("*")) < 6e6
    model = zoo.load_model(export, verbose=False)

    # Solved again: the logits are the scores times one number.
    data = sample()
    rows = zoo.feature_extractor(model)(data.train.inputs).numpy()
    kernel, _ = model.get_layer("predictions").get_weights()
    ratios = [
        kernel
        / closed_form.ridge([(rows, np.eye(10)[data.train.targets])], p)[0]
        for p in mnist_elm.PENALTIES
    ]
    assert min(np.ptp(ratio) / np.mean(ratio) for ratio in ratios) < 1e-3


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "--members must name one export or more"),
        (["mnist_cnn", "nosuch"], "--members: No export named 'nosuch'"),
        (["mnist_gan"], "must take images of (28, 28, 1) and tell 10"),
    ],
    ids=["none", "unknown", "no classifier"],
)
@pytest.mark.usefixtures("empty_folder")
def test_who_cannot_vote_is_refused(members, said, capsys):
    flags = ["--dry-run", "--members", *members]
    answer = is_a_usage_error(capsys, *flags, recipe="mnist_committee")
    assert said in answer


@pytest.mark.parametrize("equal", [False, True], ids=["learned", "equal"])
def test_a_committee_learns_its_shares_or_votes_with_equal_ones(
    equal, tmp_path, no_export, monkeypatch
):
    voted = []
    monkeypatch.setattr(
        mnist_committee,
        "_members_section",
        lambda config, answers, scores, average: voted.append(average),
    )
    mnist_committee.train(
        mnist_committee.Config(
            members=("mnist_cnn@shipped", "mnist_gru@shipped"),
            equal_shares=equal,
            run=RunOptions(dry_run=True, strategy="none", output_dir=tmp_path),
        )
    )
    ((sharpness, shares),) = [average.get_weights() for average in voted]
    assert shares.sum() == pytest.approx(1)
    if equal:
        assert (sharpness == 1).all()
        assert (shares == 0.5).all()
    else:
        assert (sharpness != 1).all()
        assert shares[0] != pytest.approx(0.5, abs=1e-3)
