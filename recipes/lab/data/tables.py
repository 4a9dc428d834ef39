"""Small tables that come with the package, split as every table is.

They are scikit-learn's iris, wine, breast_cancer and diabetes, R's infert, and
points in the plane that nobody has measured: moons, circles, spirals and XOR.
The rows are sorted by their targets, and of each five in a row three are for
training, one is for validation and one for testing: no random numbers, and all
three parts have the same mix of classes, or of small and large numbers.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from recipes.lab.data.splits import Data, Facts, Split, sum_of
from recipes.lab.inputs.tables import NOT_STATED, Column, Tables


def iris() -> Data:
    """Return Fisher's iris flowers: three species, 50 of each."""
    columns = tuple(
        Column(f"{part}_{side}", "cm", f"{side} of a {part}")
        for part in ("sepal", "petal")
        for side in ("length", "width")
    )
    return _classes("iris", Facts("iris", "CC BY 4.0 (UCI)"), columns)


def wine() -> Data:
    """Return Italian wines of three cultivars, by chemical analysis."""
    units = {"alcohol": "% vol", "od280_od315": "", "hue": ""}
    names = (
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium"),
        *("total_phenols", "flavanoids", "nonflavanoid_phenols"),
        *("proanthocyanins", "color_intensity", "hue", "od280_od315"),
        "proline",
    )
    about = {"od280_od315": "OD280/OD315 of diluted wine"}
    columns = tuple(
        Column(
            name,
            units.get(name, NOT_STATED),
            about.get(name, name.replace("_", " ")),
        )
        for name in names
    )
    return _classes("wine", Facts("wine", "CC BY 4.0 (UCI)"), columns)


def breast_cancer() -> Data:
    """Return cell nuclei of breast tumors, malignant or benign."""
    measures = {
        "radius": NOT_STATED,
        "texture": "grey levels",
        "perimeter": NOT_STATED,
        "area": NOT_STATED,
        **dict.fromkeys(("smoothness", "compactness", "concavity"), ""),
        **dict.fromkeys(("concave_points", "symmetry"), ""),
        "fractal_dimension": "",
    }
    kinds = {
        "mean": "mean over the nuclei of an image",
        "error": "standard error of that mean",
        "worst": "mean of the three largest",
    }
    columns = tuple(
        Column(f"{kind}_{name}", unit, f"{name.replace('_', ' ')}, {about}")
        for kind, about in kinds.items()
        for name, unit in measures.items()
    )
    title = "breast cancer (Wisconsin, diagnostic)"
    return _classes("breast_cancer", Facts(title, "CC BY 4.0 (UCI)"), columns)


def diabetes() -> Data:
    """Return diabetes patients, and how their disease had gone a year later."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    columns = (
        Column("age", "years", "age"),
        Column("sex", "", "1 or 2, as the source codes it"),
        Column("bmi", "kg/m²", "body mass index"),
        Column("blood_pressure", "mm Hg", "average blood pressure"),
        Column("cholesterol", "mg/dl", "total serum cholesterol (s1)"),
        Column("ldl", "mg/dl", "low-density lipoproteins (s2)"),
        Column("hdl", "mg/dl", "high-density lipoproteins (s3)"),
        Column("cholesterol_ratio", "", "total cholesterol over HDL (s4)"),
        Column("log_triglycerides", "", "log of serum triglycerides (s5)"),
        Column("glucose", "mg/dl", "blood sugar (s6)"),
    )
    return _data(
        "diabetes",
        Facts(
            "diabetes (Efron et al. 2004)",
            "published with Efron, Hastie, Johnstone and Tibshirani 2004, "
            "without a licence",
        ),
        columns,
        *(found.data, found.target.astype("float32")),
        source="scikit-learn",
        target=Column(
            "progression", "points", "a measure of the disease a year later"
        ),
    )


def infert() -> Data:
    """Return women after abortions: 83 infertile ones, and their controls.

    The table is too small to put a part of it aside, so all of it is there to
    train on and to test on. Whoever does both tests by cross-validation over
    `groups`: each infertile woman was matched with up to two others, and with
    them she is a group.
    """
    file = Path(__file__).with_name("infert.csv")
    with open(file, encoding="utf-8") as lines:
        table = np.genfromtxt(
            (line for line in lines if not line.startswith("#")),
            delimiter=",",
            names=True,
            dtype=None,
            encoding="utf-8",
        )
    columns = (
        Column("parity", "births", "number of births"),
        Column("induced", "abortions", "induced abortions: 0, 1, 2 or more"),
        Column(
            "spontaneous",
            "abortions",
            "spontaneous abortions: 0, 1, 2 or more",
        ),
    )
    rows = np.stack([table[column.name] for column in columns], axis=1)
    rows, labels = rows.astype("float32"), table["case"].astype("int32")
    whole = Split(rows, labels)
    return Data(
        "infert",
        *(whole, whole[:0], whole),
        inputs=Tables(columns),
        facts=Facts(
            "infert (Trichopoulos et al. 1976)",
            "facts from that paper, as R's datasets (GPL-2 or GPL-3) has them",
        ),
        class_names=("control", "case"),
        source="the package",
        checksum=sum_of(rows, labels, table["stratum"]),
        groups=table["stratum"].astype("int32"),
    )


# --- points in the plane ------------------------------------------------------

POINTS = 1_000  # of both classes together


def moons() -> Data:
    """Return two half circles that reach into each other."""

    def draw(random, label, share):
        angle = np.pi * (share + label)
        return np.cos(angle) + label, np.sin(angle) + label / 2

    return _points("moons", "two moons", 0.2, draw)


def circles() -> Data:
    """Return a circle of points around another."""

    def draw(random, label, share):
        angle, radius = 2 * np.pi * share, 1 - 0.5 * label
        return radius * np.cos(angle), radius * np.sin(angle)

    return _points("circles", "two circles", 0.08, draw)


def spirals() -> Data:
    """Return two arms that wind around each other, one and a half times."""

    def draw(random, label, share):
        radius = 0.1 + 0.9 * share
        angle = 3 * np.pi * share + np.pi * label
        return radius * np.cos(angle), radius * np.sin(angle)

    return _points("spirals", "two spirals", 0.03, draw)


def xor() -> Data:
    """Return points in four quarters; those that face each other are alike."""

    def draw(random, label, share):
        x, y = random.uniform(0.05, 1, (2, len(share)))
        side = np.where(share < 0.5, -1, 1)
        return side * x, side * y * np.where(label == 1, -1, 1)

    return _points("xor", "exclusive or", 0.05, draw)


def _points(name: str, title: str, noise: float, draw: Callable) -> Data:
    """Return points that are drawn from a shape, and then blurred.

    Args:
        name: Name of the data set.
        title: What people call it.
        noise: Standard deviation of what is added to each coordinate.
        draw: Function of random numbers, labels, and a number from 0 to 1 for
            each point, to two arrays of coordinates.
    """
    # The numbers of this generator are the same in all versions of NumPy.
    random = np.random.RandomState(0)
    labels = np.arange(POINTS, dtype="int32") % 2
    rows = np.stack(draw(random, labels, random.uniform(size=POINTS)), axis=1)
    rows += random.normal(scale=noise, size=rows.shape)
    return _data(
        name,
        Facts(title, "drawn at random, free of licences"),
        (Column("x", "", "from left to right"), Column("y", "", "upwards")),
        # Rounded, for sines have other last digits elsewhere.
        *(rows.round(4), labels),
        source="a generator of random numbers",
        class_names=("blue", "orange"),
    )


TABLES: dict[str, Callable[[], Data]] = {
    table.__name__: table
    for table in (
        *(iris, wine, breast_cancer, diabetes, infert),
        *(moons, circles, spirals, xor),
    )
}


# --- splits -------------------------------------------------------------------


def _classes(name: str, facts: Facts, columns) -> Data:
    """Return one of scikit-learn's tables of classes."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    names = (
        str(name).replace("class_", "cultivar ") for name in found.target_names
    )
    return _data(
        *(name, facts, columns),
        *(found.data, found.target.astype("int32")),
        source="scikit-learn",
        class_names=tuple(names),
    )


def _data(name, facts, columns, rows, targets, *, source, **more) -> Data:
    """Split a table into training, validation and test rows."""
    rows = rows.astype("float32")
    order = np.argsort(targets, kind="stable")
    place = np.arange(len(order)) % 5
    train, validation, test = (
        Split(rows[chosen], targets[chosen])
        for chosen in (order[place < 3], order[place == 3], order[place == 4])
    )
    return Data(
        *(name, train, validation, test),
        inputs=Tables(columns),
        facts=facts,
        source=source,
        checksum=sum_of(rows, targets),
        **{"class_names": (), **more},
    )
