"""`python -m recipes compare`: runs side by side on one page."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from recipes.__main__ import main


class Tables(HTMLParser):
    """The rows of each table of a page, as texts; and who hears a picture."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.alts, self.cell = [], [], False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.cell = True
        elif tag == "img":
            self.alts.append(dict(attributes)["alt"])

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.cell = False

    def handle_data(self, data):
        if self.cell:
            self.tables[-1][-1][-1] += data


@pytest.fixture
def change(said_dry_run, tmp_path, monkeypatch):
    """Return what makes another run out of that of a dry run."""
    monkeypatch.chdir(tmp_path)
    [finished] = said_dry_run[0].glob("runs/*/1")

    def change(name, *, accuracy=None, errors=(), recipe=None, **settings):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        record = json.loads((finished / "metrics.json").read_text())
        record["seed"] = settings.get("seed", 0)
        record["recipe"] = recipe or record["recipe"]
        record["settings"] |= settings
        if accuracy is not None:
            record["metrics"]["test_accuracy"] = accuracy
        (folder / "metrics.json").write_text(json.dumps(record))
        with open(finished / "history.csv", newline="") as file:
            [row] = csv.DictReader(file)
        rows = [
            {**row, "epoch": epoch, "val_accuracy": 1 - error}
            for epoch, error in enumerate(errors, start=1)
        ]
        if rows:
            write_history(folder / "history.csv", rows)
        return folder

    return change


def test_seeds_are_one_line_with_its_spread(change, tmp_path, capsys):
    change("a/1", accuracy=0.98, errors=[0.1, 0.02])
    change("a/2", accuracy=0.99, errors=[0.3, 0.04], seed=1)
    change("b/1", accuracy=0.97, errors=[0.2, 0.05], epochs=7)
    assert main(["compare", "a", "b/1"]) == 0
    written = tmp_path / "runs" / "comparison.html"
    assert written.as_uri() in capsys.readouterr().out
    page, text = Tables(written), written.read_text(encoding="utf-8")
    assert '<p class="number">98.50 ± 0.71 %</p>' in text  # of .98 and .99
    assert "Test accuracy of epochs 1, the best of 2." in text
    assert "where a rule or a solution trains, it is measured after" in text
    results, differing, runs = page.tables
    assert [row[0] for row in results[1:]] == ["epochs 1", "epochs 7"]
    assert [row[1] for row in results[1:]] == ["98.50 ± 0.71 %", "97.00 %"]
    assert [row[-1] for row in results[1:]] == ["0, 1", "0"]
    assert differing == [["", "epochs 1", "epochs 7"], ["epochs", "1", "7"]]
    assert [row[0] for row in runs[1:]] == ["runs/a/1", "runs/a/2", "runs/b/1"]
    errors = next(alt for alt in page.alts if "validation by epoch" in alt)
    # The mean of .02 and .04, and .05, in percent.
    assert "validation by epoch: epochs 1 3 at 2, epochs 7 5 at 2" in errors


def test_the_smaller_error_is_the_better_one(change, tmp_path):
    for name, value in (("a/1", 0.3), ("a/2", 0.2)):
        folder = change(name, errors=[0.1], epochs=int(name[-1]))
        record = json.loads((folder / "metrics.json").read_text())
        record["metrics"] = {"test_mse": value, "train_seconds": 1.0}
        (folder / "metrics.json").write_text(json.dumps(record))
    assert main(["compare", "a", "--output", "here/page.html"]) == 0
    text = (tmp_path / "here" / "page.html").read_text(encoding="utf-8")
    assert "Test MSE of epochs 2, the best of 2." in text
    assert [*(tmp_path / "here").iterdir()] == [tmp_path / "here/page.html"]
    assert not re.search(r'(src|href)="(?!data:)', text)  # it stands alone


def test_other_code_is_another_training(change, tmp_path):
    change("a/1", errors=[0.1], source={"recipes/a.py": "one"})
    change("a/2", errors=[0.1], source={"recipes/a.py": "other"})
    assert main(["compare", "a"]) == 0
    results, _ = Tables(tmp_path / "runs/comparison.html").tables
    assert [row[0] for row in results[1:]] == ["a/1", "a/2"]


def test_recipes_with_other_metrics_share_a_page(change, tmp_path):
    change("a/1", errors=[0.1, 0.05])
    computed = change("b/1", recipe="other<i>")
    assert not (computed / "history.csv").exists()  # it had no epochs
    record = json.loads((computed / "metrics.json").read_text())
    record["metrics"] = {"test_mse": 0.5, "train_seconds": 1.0}
    (computed / "metrics.json").write_text(json.dumps(record))
    assert main(["compare", "a/1", "b/1"]) == 0
    text = (tmp_path / "runs/comparison.html").read_text(encoding="utf-8")
    assert "These runs have no metric in common." in text
    assert "other&lt;i&gt;" in text and "<i>" not in text
    page = Tables(tmp_path / "runs/comparison.html")
    assert page.alts and not any("other" in alt for alt in page.alts)
    header, one, other = page.tables[0]
    numbers = {n: (one[i], other[i]) for i, n in enumerate(header)}
    assert numbers["Test MSE"] == ("–", "0.50000")
    assert "%" in numbers["Test accuracy"][0]
    assert numbers["Test accuracy"][1] == "–"
    assert "<h2>Loss of mnist_cnn</h2>" in text  # another's is no such loss


def test_a_curve_that_one_recipe_has_of_validation_only(change, tmp_path):
    """Rules and solutions watch their errors there, not while they learn."""
    change("a/1", errors=[0.1, 0.05])
    folder = change("b/1", errors=[0.2, 0.04], recipe="other")
    with open(folder / "history.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    for row in rows:
        del row["accuracy"]
    write_history(folder / "history.csv", rows)
    assert main(["compare", "a/1", "b/1"]) == 0
    page = Tables(tmp_path / "runs/comparison.html")
    learned, watched = page.alts[0].split("; validation by epoch: ")
    assert "other" not in learned
    assert watched == "mnist_cnn 5 at 2, other 4 at 2."


def test_of_a_solution_the_longer_training_before_it_is_drawn(change, tmp_path):
    for name, seed in (("a/1", 0), ("a/2", 1)):
        folder = change(name, errors=[0.2], recipe="mnist_kohonen", seed=seed)
        rows = [
            {"epoch": i, "loss": 1, "val_loss": 8 - i, "seconds": 1}
            for i in (1, 2, 3)
        ]
        write_history(folder / "history-map.csv", rows)
        record = json.loads((folder / "metrics.json").read_text())
        errors = {f"{i}_error": 0.1 * i for i in range(4)}
        record["metrics"] |= {"quantization_error": 5.25, **errors}
        (folder / "metrics.json").write_text(json.dumps(record))
    assert main(["compare", "a"]) == 0
    text = (tmp_path / "runs/comparison.html").read_text(encoding="utf-8")
    assert "Quantization error over 2 seeds." in text  # what it is trained for
    page = Tables(tmp_path / "runs/comparison.html")
    assert any("5 at 3" in alt for alt in page.alts)
    # Too many numbers for a line are a column.
    assert ["Quantization error", "5.250 ± 0.000"] in page.tables[0]


def write_history(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_sample_is_no_result(change, tmp_path):
    change("mnist_cnn-sample/1", accuracy=0.5, errors=[0.1])
    change("mnist_cnn-sample/2", accuracy=0.6, errors=[0.1], seed=1)
    assert main(["compare", "mnist_cnn-sample"]) == 0
    text = (tmp_path / "runs/comparison.html").read_text(encoding="utf-8")
    assert '<p class="notice">A demonstration, not a result' in text
    assert "On the test set of digits" in text


def test_a_run_that_goes_on_is_drawn_from_where_it_began(change, tmp_path):
    change("a/1", errors=[0.2, 0.1])
    continued = {"run": "a/1", "epochs": 2, "commit": "x", "checkpoint": "y"}
    change("a/2", errors=[0.05, 0.04], continued=continued)
    change("a/3", errors=[0.05, 0.06], continued=continued, seed=1)
    assert main(["compare", "a"]) == 0
    page = Tables(tmp_path / "runs/comparison.html")
    errors = next(alt for alt in page.alts if "validation by epoch" in alt)
    assert "10 at 2" in errors and " 5 at 4" in errors
    results, differing, _ = page.tables
    assert results[1][0] == "from the beginning"
    assert ["continued", "", "a/1 after 2 epochs"] in differing
    text = (tmp_path / "runs/comparison.html").read_text(encoding="utf-8")
    assert "through the means of up to 2 seeds" in text


def test_devices_make_no_other_training(change, tmp_path):
    change("a/1", accuracy=0.98, errors=[0.1])
    change("a/2", accuracy=0.99, errors=[0.1], seed=1, cpu_devices=2)
    change("b/1", accuracy=0.97, errors=[0.1], epochs=7)
    change("b/2", accuracy=0.97, errors=[0.1], epochs=7, learning_rate=1e-6)
    assert main(["compare", "a", "b"]) == 0
    text = (tmp_path / "runs/comparison.html").read_text(encoding="utf-8")
    assert "98.50 ± 0.71 %" in text
    assert "Devices are not among them" in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/1"], "There is only one run"),
        (["a/1", "a/1"], "There is only one run"),
        (["a/1", "c"], "c: there is no such run. Finished ones in runs: a/1"),
        (["a/1", "empty"], "runs/empty is no run, and none is in it."),
        (["a/1", "cut"], "runs/cut is not finished. Run its own command"),
        (["a/1", "bad"], "runs/bad: what it recorded is damaged."),
        (["a/1", "old"], "runs/old: what it recorded is damaged."),
    ],
)
def test_what_is_no_finished_run_is_refused(
    change, tmp_path, said_dry_run, capsys, names, said
):
    change("a/1", errors=[0.1])
    for name in ("empty", "cut", "bad", "old"):
        (tmp_path / "runs" / name).mkdir()
    [finished] = said_dry_run[0].glob("runs/*/1")
    shutil.copy(finished / "config.json", tmp_path / "runs/cut/config.json")
    (tmp_path / "runs/bad/metrics.json").write_text('{"metrics": ')
    (tmp_path / "runs/old/metrics.json").write_text('{"metrics": {}}')
    assert main(["compare", *names]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs/comparison.html").exists()
