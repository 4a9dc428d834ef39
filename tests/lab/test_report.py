"""The report is one page that needs nothing beside it, whatever is in it."""

import html.parser
import re
import types

import numpy as np
import pytest
from helpers.marks import only_thorough
from helpers.pictures import size_of
from helpers.tasks import classification, reconstruction
from PIL import Image

from recipes.lab.data.splits import Split
from recipes.lab.report import classified, encoded
from recipes.lab.runs.report import compose
from recipes.lab.tasks.scores import Scores

DIGITS = [str(i) for i in range(10)]


def write(folder, *, classes=10, wrong=3, epochs=3, names=None, **arguments):
    """Write a report of 40 images of noise, some of them mistaken."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % classes
    probabilities = np.full((40, classes), 0.1 / classes, "float32")
    answers = labels.copy()
    answers[:wrong] = (answers[:wrong] + 1) % classes
    probabilities[np.arange(40), answers] += 0.9
    curve = list(np.linspace(1, 0.1, epochs))
    options = dict(
        history={"loss": curve, "val_loss": curve, "seconds": curve},
        images=random.integers(0, 256, (40, 28, 28, 1)).astype("uint8"),
        labels=labels,
        probabilities=probabilities,
        class_names=names or [f"class {i}" for i in range(classes)],
        filters=None,
    )
    options |= arguments
    task = classification(options.pop("class_names"))
    scores = Scores(
        Split(options.pop("images"), np.asarray(options.pop("labels"))),
        options.pop("probabilities"),
        {"test_accuracy": 0.5, "test_loss": 1.0},
    )
    filters = options.pop("filters")
    model = types.SimpleNamespace(
        layers=[]
        if filters is None
        else [types.SimpleNamespace(kernel=filters)],
        input_shape=(None, *scores.split.inputs.shape[1:]),
        output_shape=(None, classes),
    )
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    return compose_report(folder, task.report(model, scores, plots), **options)


def compose_report(folder, parts, *, history, notice="", more=(), **facts):
    facts = {"Fact": "a fact", **facts.get("facts", {})}
    parts = parts._replace(facts=parts.facts | facts)
    return compose(folder, "a title", notice, parts, history, more)


def write_autoencoder(
    folder, *, count=40, length=32, channels=1, noisy=False, **arguments
):
    """Write a report of images of noise that an autoencoder has seen."""
    random = np.random.default_rng(0)
    shape = (count, 28, 28, channels)
    curve = [1.0, 0.5]
    options = dict(
        history={"loss": curve, "val_loss": curve},
        images=random.integers(0, 256, shape).astype("uint8"),
        pictures=random.random(shape, "float32"),
        pixels=255 * random.random(shape, "float32") if noisy else None,
        labels=np.arange(count) % 10,
        codes=random.standard_normal((count, length), "float32"),
        drawings=random.standard_normal((length, *shape[1:]), "float32"),
    )
    options |= arguments
    scores = Scores(
        Split(options.pop("images"), options.pop("labels")),
        options.pop("pictures"),
        {"test_mse": 0.1, "test_excess_cross_entropy": 0.1, "test_psnr": 10},
        options.pop("pixels"),
    )
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    inside = options.pop("codes"), options.pop("drawings")
    parts = reconstruction().report_of_codes(scores, *inside, plots)
    return compose_report(folder, parts, **options)


def more(plots):
    """A further section."""
    return "more", f"into {plots.name}", ""


WHOLE = {"notice": "a <sample>", "facts": {"<i>": "a & b"}, "more": [more]}


@pytest.fixture(scope="module")
def classifier_page(tmp_path_factory):
    """A report of a classifier, with everything that may be in one."""
    names = ["<b>bold</b>", *DIGITS[1:]]
    folder = tmp_path_factory.mktemp("classifier")
    return write(folder, names=names, wrong=3, **WHOLE).read_text()


@pytest.fixture(scope="module")
def autoencoder_page(tmp_path_factory):
    """The same of an autoencoder."""
    folder = tmp_path_factory.mktemp("autoencoder")
    return write_autoencoder(folder, **WHOLE).read_text()


@pytest.fixture(params=["classifier_page", "autoencoder_page"])
def page(request):
    return request.getfixturevalue(request.param)


def test_page_stands_alone(page):
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "<script" not in page
    assert page.count("data:image/") >= 3
    assert all(alt for alt in re.findall(r'<img[^>]*alt="([^"]*)"', page))


def test_headline_counts_the_mistakes(classifier_page):
    assert "92.50 %" in classifier_page
    assert "3 mistakes" in classifier_page


def test_what_is_to_be_known_stands_above_all_else(page):
    notice = page.index('<p class="notice">a &lt;sample&gt;</p>')
    assert notice < page.index("<h1>")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("dry_run", "mnist_cnn"), ("autoencoder_dry_run", "mnist_autoencoder")],
)
def test_a_report_of_the_sample_says_so_first(folder, name, request):
    folder = request.getfixturevalue(folder)
    page = (folder / f"runs/{name}-sample/1/report.html").read_text()
    assert f"<title>{name}-sample, run 1</title>" in page
    [notice] = re.findall('<p class="notice">(.*?)</p>', page)
    assert notice.startswith("A demonstration, not a result: trained on 1,297")


def test_tags_are_balanced(page):
    void = {"meta", "img", "br"}
    opened = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in void:
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Parser().feed(page)
    assert opened == []


def test_names_and_facts_are_escaped(classifier_page):
    assert "<b>bold" not in classifier_page
    assert "&lt;b&gt;bold" in classifier_page
    assert "a &amp; b" in classifier_page


@pytest.mark.parametrize("classes", [2, 40])
def test_any_number_of_classes(tmp_path, classes):
    assert write(tmp_path, classes=classes).exists()


def test_no_mistakes(tmp_path):
    page = write(tmp_path, wrong=0).read_text()
    assert "100.00 %" in page
    assert '<p class="notice">' not in page
    assert not (tmp_path / "plots" / "mistakes.png").exists()


@pytest.mark.parametrize("epochs", [1, 30])
def test_any_number_of_epochs(tmp_path, epochs):
    html = write(tmp_path, epochs=epochs).read_text()
    assert (tmp_path / "plots" / "curves.png").stat().st_size > 5_000
    assert ("There was one epoch" in html) == (epochs == 1)
    # A rule's values are measured after the epoch, those of `fit` are means.
    assert ("of learning, and not measured after it" in html) == (epochs > 1)


def test_history_without_validation(tmp_path):
    write(tmp_path, history={"loss": [1.0, 0.5], "accuracy": [0.5, 0.7]})


def test_color_images_and_filters(tmp_path):
    images = np.zeros((40, 32, 32, 3), "uint8")
    write(tmp_path, images=images, filters=np.random.rand(3, 3, 3, 8))
    assert (tmp_path / "plots" / "filters.png").exists()


@pytest.mark.parametrize("write", [write, write_autoencoder])
@pytest.mark.thorough
def test_same_run_same_page(tmp_path, write):
    first = write(tmp_path / "a").read_bytes()
    assert write(tmp_path / "b").read_bytes() == first


# --- autoencoders -------------------------------------------------------


def test_an_autoencoder_has_all_its_figures(autoencoder_dry_run):
    run = autoencoder_dry_run / "runs" / "mnist_autoencoder-sample" / "1"
    plots = {path.name for path in (run / "plots").iterdir()}
    assert plots == {
        "code_lengths.png",
        "code_map.png",
        "code_units.png",
        "curves.png",
        "reconstructions.png",
        "worst.png",
    }
    page = (run / "report.html").read_text()
    assert page.count("data:image/") == len(plots)
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "32 numbers for 784" in page
    assert re.search(r'alt="autoencoder: .* at 4, .* at 32; PCA: ', page)


def test_headline_of_an_autoencoder_is_its_mean_squared_error(tmp_path):
    images = np.zeros((40, 28, 28, 1), "uint8")
    pictures = np.full(images.shape, 0.1, "float32")
    page = write_autoencoder(tmp_path, images=images, pictures=pictures)
    assert '<p class="number">0.0100</p>' in page.read_text()


@pytest.mark.parametrize("length", only_thorough([1, 2, 100], [2]))
def test_codes_of_any_length(tmp_path, length):
    page = write_autoencoder(tmp_path, length=length).read_text()
    assert (tmp_path / "plots" / "code_map.png").stat().st_size > 5_000
    assert ("dimensions of the code" in page) == (length > 2)
    assert ("The first 64 of 100" in page) == (length == 100)


def test_classes_of_any_name_stand_beside_a_map(tmp_path):
    """Mathematics, a hidden label and letters of no font among them."""
    names, codes = ["$a_{$", "_b", "数字"], np.eye(3)
    _, _, html = encoded.code_map_section(tmp_path, codes, np.arange(3), names)
    assert "in 3 colors" in html


def test_units_that_draw_nothing(tmp_path):
    drawings = np.zeros((3, 28, 28, 1), "float32")
    codes = np.zeros((40, 3), "float32")
    write_autoencoder(tmp_path, codes=codes, drawings=drawings)


@pytest.mark.parametrize(
    ("count", "noisy"),
    [
        pytest.param(2, False, marks=pytest.mark.thorough),
        (9, True),
        pytest.param(40, False, marks=pytest.mark.thorough),
    ],
)
def test_originals_stand_above_their_reconstructions(tmp_path, count, noisy):
    """However few there are, in a column each."""
    page = write_autoencoder(tmp_path, count=count, noisy=noisy).read_text()
    assert ("got to see in the second" in page) == noisy
    for name in ("reconstructions", "worst"):
        width, height = size_of(tmp_path / "plots" / f"{name}.png")
        columns, rows = min(count, 10), 2 + noisy
        assert width / height == pytest.approx(columns / rows, rel=0.02)


def test_color_images_of_an_autoencoder(tmp_path):
    write_autoencoder(tmp_path, channels=3)


@pytest.mark.thorough
def test_an_image_of_each_class_comes_first(tmp_path):
    """Those of the class that the data begin with do not fill the row."""
    labels = np.repeat(range(10), 4)
    images = np.zeros((40, 28, 28, 1), "uint8")
    images[::4] = 255  # the first of each class is white
    pictures = images.astype("float32") / 255
    write_autoencoder(tmp_path, labels=labels, images=images, pictures=pictures)
    with Image.open(tmp_path / "plots" / "reconstructions.png") as image:
        whole = np.asarray(image.convert("L"))
    assert (whole == 255).all()


def test_more_sections_stand_after_the_curves(page):
    assert "into plots" in page
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings[headings.index("more") - 1] == "Learning curves"


def test_without_validation_there_are_no_curves(tmp_path):
    page = write(tmp_path, history={"loss": [1.0], "seconds": [1.0]})
    assert "Learning curves" not in page.read_text()
    assert not (tmp_path / "plots" / "curves.png").exists()


def test_of_many_classes_the_worst_are_shown_and_no_matrix(tmp_path):
    report = write(tmp_path, classes=400, wrong=3).read_text()
    assert not (tmp_path / "plots" / "confusion_matrix.png").exists()
    assert "Of 400 classes the 200 worst are shown." in report
    assert "class 2</th>" in report and "class 399</th>" not in report


# --- decision regions ---------------------------------------------------


@pytest.mark.parametrize(("panels", "classes"), [(1, 2), (5, 3)])
def test_regions_have_the_colors_of_what_is_answered(tmp_path, panels, classes):
    """Whatever lies left of the middle is of the first class."""
    random = np.random.default_rng(0)
    rows = random.uniform(-3, 5, (30, 2)).astype("float32")

    def answer(points):
        left = points[:, 0] < rows[:, 0].mean()
        return np.eye(classes)[np.where(left, 0, classes - 1)]

    heading, _, html = classified.regions_section(
        *(tmp_path, "regions", {f"panel {i}": answer for i in range(panels)}),
        *(rows, random.integers(0, classes, 30)),
        heading="a heading",
        caption="a caption",
    )
    assert heading == "a heading"
    assert "; ".join(f"panel {i}" for i in range(panels)) in html
    with Image.open(tmp_path / "regions.png") as image:
        pixels = np.asarray(image.convert("RGB"), int)
    first = pixels[
        : pixels.shape[0] // 2 + 1, : pixels.shape[1] // min(4, panels)
    ]
    height, width, _ = first.shape
    left, right = (
        first[height // 2, width // 4],
        first[height // 2, 3 * width // 4],
    )
    assert left[2] > left[0]  # blue
    assert right[0] > right[2] or classes == 3  # orange
