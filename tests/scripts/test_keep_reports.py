"""Reports that are kept show what they showed, in smaller files."""

import base64
import io
import json
import re

import keep_reports
import numpy as np
import pytest
from helpers.commands import RECIPES, ROOT
from PIL import Image


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run with a picture in its report."""
    monkeypatch.setattr(keep_reports, "ROOT", tmp_path)
    monkeypatch.setattr(keep_reports, "REPORTS", tmp_path / "reports")
    folder = tmp_path / "runs" / "mnist_svm" / "1"
    folder.mkdir(parents=True)
    record = {
        "recipe": "mnist_svm",
        "command": "python -m recipes.mnist_svm",
        "settings": {"dry_run": False},
    }
    (folder / "metrics.json").write_text(json.dumps(record))
    buffer = io.BytesIO()
    Image.fromarray(pixels()).save(buffer, "PNG")
    coded = base64.b64encode(buffer.getvalue()).decode()
    (folder / "report.html").write_text(
        f'<img alt="é" src="data:image/png;base64,{coded}">', encoding="utf-8"
    )
    return folder


def pixels():
    random = np.random.default_rng(0)
    return random.integers(0, 2, (40, 60, 4), "uint8") * 255


def test_the_pictures_are_the_same_to_the_pixel(run, tmp_path, capsys):
    assert keep_reports.main([str(run)]) == 0
    assert "reports/mnist_svm.html" in capsys.readouterr().out
    page = (tmp_path / "reports" / "mnist_svm.html").read_text("utf-8")
    [coded] = re.findall('alt="é" src="data:image/webp;base64,(.+?)"', page)
    picture = Image.open(io.BytesIO(base64.b64decode(coded)))
    found, expected = np.asarray(picture.convert("RGBA")), pixels()
    np.testing.assert_array_equal(found[..., 3], expected[..., 3])
    seen = expected[..., 3] > 0
    np.testing.assert_array_equal(found[seen], expected[seen])


@pytest.mark.parametrize(
    "changed",
    [
        {"command": "python -m recipes.mnist_svm --features 16"},
        {"settings": {"dry_run": True}},
    ],
)
def test_other_runs_are_refused(run, changed):
    record = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(record | changed))
    with pytest.raises(SystemExit, match="is a whole training by `python"):
        keep_reports.main([str(run)])
    (run / "metrics.json").unlink()
    with pytest.raises(SystemExit, match="is no finished run"):
        keep_reports.main([str(run)])


def test_what_is_kept_is_of_a_recipe_and_stands_alone():
    reports = sorted((ROOT / "saved_models" / "reports").glob("*"))
    assert reports
    for report in reports:
        assert report.stem in RECIPES and report.suffix == ".html"
        page = report.read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>")
        assert '<p class="notice"' not in page  # no sample, no dry run
        assert not re.search(r'(src|href)="(?!data:)', page), report
        assert "image/png" not in page
        assert report.stat().st_size < 1_500_000
