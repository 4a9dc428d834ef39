"""The regions of moons_mlp are kept as they form, whatever cuts it off."""

import pytest

from recipes import moons_mlp
from recipes.lab.flags import RunOptions
from recipes.lab.training import Progress


def train(folder):
    options = RunOptions(dry_run=True, output_dir=folder, strategy="none")
    config = moons_mlp.Config(shape="xor", epochs=4, run=options)
    moons_mlp.train(config)
    return folder / "runs" / "moons_mlp-sample" / "1"


@pytest.mark.thorough
def test_regions_of_a_run_that_is_cut_off_are_those_of_a_whole_one(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(moons_mlp, "SMALLER", ((1,),))
    monkeypatch.setattr("recipes.lab.runs.run.export", _no_export)
    whole = train(tmp_path / "whole")
    end = Progress.end_epoch

    def end_and_cut(self, logs, stopped=False):
        end(self, logs, stopped)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "end_epoch", end_and_cut)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut")
    cut = train(tmp_path / "cut")
    kept = [path.name for path in sorted((whole / "formation").iterdir())]
    assert kept == [f"{epoch:06}.npz" for epoch in (0, 1, 2, 3, 4)]
    for name in kept:
        bits = (whole / "formation" / name).read_bytes()
        assert (cut / "formation" / name).read_bytes() == bits
    page = (cut / "report.html").read_text()
    assert 'alt="Decision regions in the plane: before training; epo' in page
    assert "plane: 1 hidden: " in page


def _no_export(run, task, model, metrics, meanwhile):
    meanwhile()
    return run.folder
