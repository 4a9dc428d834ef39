"""An export answers as the model does, refuses what it must, and is whole."""

import base64
import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python, run_recipe
from helpers.tasks import classification, reconstruction
from PIL import Image

import zoo
from recipes.lab.data import sources
from recipes.lab.errors import RecipeError
from recipes.lab.export import exporting, verification
from recipes.lab.flags import RunOptions
from recipes.lab.inputs import image_files
from recipes.lab.runs.run import Run
from recipes.lab.training.devices import Devices
from zoo import _loading

METRICS = {"test_accuracy": 0.5, "test_loss": 2.0, "train_seconds": 1.0}


@pytest.fixture(scope="module")
def data():
    """The embedded digits."""
    return sources.load("mnist", RunOptions(dry_run=True))


@pytest.fixture(scope="module")
def digits(data):
    """A hundred of the images that the exported model was scored on."""
    return data.test.inputs[:100]


def asking(export):
    """Load an export with TensorFlow alone; return what calls its signatures.

    For example `ask("image_bytes", [png])`.
    """
    served = tf.saved_model.load(str(export))

    def ask(signature, values):
        function = served.signatures[signature]
        [name] = function.structured_input_signature[1]
        answer = function(**{name: tf.constant(values)})
        return {key: value.numpy() for key, value in answer.items()}

    return ask


@pytest.fixture(scope="module")
def ask(export):
    """Call a signature of the classifier."""
    return asking(export)


@pytest.fixture(scope="module")
def autoencoder_export(autoencoder_dry_run):
    """The export of an autoencoder."""
    return autoencoder_dry_run / "saved_models/mnist_autoencoder-sample/1"


@pytest.fixture(scope="module")
def ask_autoencoder(autoencoder_export):
    """Call a signature of the autoencoder."""
    return asking(autoencoder_export)


@pytest.fixture(scope="module")
def autoencoder(autoencoder_export):
    """The Keras model of that export."""
    return zoo.load_model(autoencoder_export, verbose=False)


@pytest.fixture
def run(tmp_path, data):
    """An open run, at the point where its model is to be exported."""
    options = RunOptions(output_dir=tmp_path, dry_run=True)
    devices = Devices(None, 1, "1 CPU")
    (tmp_path / "run").mkdir()
    settings = {"source": {}, "loaded": []}
    return Run(
        *("mnist_cnn", tmp_path / "run", settings, options, data, devices)
    )


@pytest.fixture
def unverified(monkeypatch):
    """Leave the verification out, for tests of what happens around it."""
    monkeypatch.setattr(
        exporting, "_verifier_of", lambda _: contextlib.nullcontext()
    )
    monkeypatch.setattr(exporting, "_verify", lambda *_: None)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def front_matter(card):
    return card.split("---\n")[1]


# --- what is on the disk ------------------------------------------------


def test_everything_is_inside_the_version_folder(export):
    assert listing(export.parent) == ["1"]
    assert listing(export) == [
        "README.md", "SHA256SUMS", "assets", "fingerprint.pb", "metrics.json",
        "model.keras", "saved_model.pb", "variables",
    ]  # fmt: skip
    assert listing(export / "assets") == ["labels.txt"]
    labels = (export / "assets" / "labels.txt").read_text()
    assert labels.splitlines() == list("0123456789")


def test_sums_cover_all_other_files(export):
    sums = {
        path.relative_to(export).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in export.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    lines = (export / "SHA256SUMS").read_text().splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == sums


def test_files_carry_schema_and_version(export):
    metrics = json.loads((export / "metrics.json").read_text())
    assert metrics["schema"] == 1
    versions = metrics["environment"]["versions"]
    assert versions["keras-zoo-recipes"] == zoo.__version__
    card = read_yaml(front_matter((export / "README.md").read_text()))
    assert card["schema"] == "1"
    assert card["keras_zoo_recipes"] == zoo.__version__


def test_weights_are_stored_once_and_without_an_optimizer(export):
    model = keras.saving.load_model(export / "model.keras")
    assert not model.compiled
    weights = 4 * model.count_params()
    assert (export / "model.keras").stat().st_size < 1.5 * weights
    variables = export / "variables"
    stored = sum(path.stat().st_size for path in variables.iterdir())
    assert weights <= stored < 1.5 * weights


def test_a_sample_export_says_that_it_is_one(export):
    assert export.parent.name == "mnist_cnn-sample"
    assert "a demonstration, not a result" in (export / "README.md").read_text()


# --- what it answers ----------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("signature", ["serving_default", "image_bytes"])
def test_signature_answers_as_the_keras_model(
    export, ask, digits, signature, size
):
    images = digits[:size]
    values = images
    if signature == "image_bytes":
        values = [png_file(image) for image in images]
    answer = ask(signature, values)
    model = zoo.load_model(export, verbose=False)
    expected = model.predict(images, verbose=0)

    assert answer.keys() == {"probabilities", "class_id", "class_name"}
    assert answer["probabilities"].dtype == np.float32
    assert answer["probabilities"].shape == (size, 10)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert answer["class_id"].dtype == np.int64
    assert answer["class_id"].tolist() == expected.argmax(axis=1).tolist()
    assert answer["class_name"].tolist() == [
        str(best).encode() for best in expected.argmax(axis=1)
    ]


def picture(image):
    """Draw an image with Pillow."""
    return Image.fromarray(image[..., 0])


def image_file(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_file(image):
    return image_file(picture(image), "PNG")


def sixteen_bit(image):
    return Image.fromarray(image[..., 0].astype(np.uint16) * 257)


def palette(image):
    indexed = Image.fromarray(255 - image[..., 0]).convert("P")
    indexed.putpalette([v for v in range(255, -1, -1) for _ in range(3)])
    return indexed


def rgba(image):
    colored = picture(image).convert("RGBA")
    colored.putalpha(128)
    return colored


@pytest.mark.parametrize(
    "draw",
    [
        picture,
        sixteen_bit,
        palette,
        rgba,
        lambda image: picture(image).convert("RGB"),
        lambda image: picture(image).convert("LA"),
    ],
    ids=["grey", "16 bit", "palette", "RGBA", "RGB", "grey with alpha"],
)
def test_png_files_of_any_kind_give_the_same_pixels(ask, digits, draw):
    files = [image_file(draw(image), "PNG") for image in digits[:5]]
    np.testing.assert_array_equal(
        ask("image_bytes", files)["probabilities"],
        ask("serving_default", digits[:5])["probabilities"],
    )


def test_jpeg_files_give_almost_the_same(ask, digits):
    files = [
        image_file(picture(image).convert(mode), "JPEG", quality=100)
        for image, mode in zip(digits[:6], ["L", "RGB"] * 3, strict=True)
    ]
    pixels = [
        np.array(Image.open(io.BytesIO(file)).convert("L")) for file in files
    ]
    np.testing.assert_allclose(
        ask("image_bytes", files)["probabilities"],
        ask("serving_default", np.array(pixels)[..., None])["probabilities"],
        atol=0.02,
    )


def test_pictures_of_other_sizes_are_resized_smoothly(ask, digits):
    sizes = [(20, 20), (29, 27), (56, 14), (280, 280), (1, 1), (28, 28)]
    pictures = [
        picture(image).resize(size)
        for image, size in zip(digits, sizes, strict=False)
    ]
    files = [image_file(drawn, "PNG") for drawn in pictures]
    resized = [
        np.array(drawn.resize((28, 28), Image.Resampling.BILINEAR))
        for drawn in pictures
    ]
    # Pillow and TensorFlow round differently.
    np.testing.assert_allclose(
        ask("image_bytes", files)["probabilities"],
        ask("serving_default", np.array(resized)[..., None])["probabilities"],
        atol=0.02,
    )


def test_a_mixed_batch_answers_as_its_files_do_alone(ask, digits):
    one, two, three = map(picture, digits[:3])
    files = [
        image_file(one, "PNG"),
        image_file(two.resize((100, 60)).convert("RGB"), "JPEG"),
        image_file(three.resize((9, 9)).convert("RGBA"), "PNG"),
    ]
    alone = [ask("image_bytes", [file])["probabilities"][0] for file in files]
    together = ask("image_bytes", files)["probabilities"]
    np.testing.assert_allclose(together, alone, atol=1e-6)


# --- what it refuses ----------------------------------------------------


def chunk(name, content):
    body = name + content
    checksum = struct.pack(">I", zlib.crc32(body))
    return struct.pack(">I", len(content)) + body + checksum


def header(width, height):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))


def black_png(width, height, before=b"", after=b""):
    """A valid black picture of one bit a pixel: small, however large."""
    pixels = zlib.compress(bytes(((width + 7) // 8 + 1) * height), 1)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            before,
            header(width, height),
            after,
            chunk(b"IDAT", pixels),
            chunk(b"IEND", b""),
        ]
    )


def claimed_png(width, height):
    """A picture that claims sides it does not have."""
    small = black_png(28, 28)
    return small.replace(header(28, 28), header(width, height))


def claimed_jpeg(width, height):
    file = image_file(Image.new("L", (64, 64)), "JPEG")
    start = file.index(b"\xff\xc0") + 5
    return file[:start] + struct.pack(">HH", height, width) + file[start + 4 :]


def of_two_inks(one, two):
    """A bar on a transparent sheet; two zeros leave the sheet blank."""
    pixels = np.zeros((28, 28, 2), np.uint8)
    pixels[4:14, 10:14] = one, 255 * (two > 0)
    pixels[14:24, 10:14] = two, 255 * (two > 0)
    return Image.fromarray(pixels)


NOISE = Image.effect_noise((100, 100), 64)
NOT_KNOWN = "must hold PNG or JPEG files"
TOO_LARGE = "sides must be 1 to 4096 pixels"

REFUSED = {
    # name: signature, what is sent, what the message says
    "other height": ("serving_default", np.zeros((2, 27, 28, 1), np.uint8),
                     r"\[2,27,28,1\] is not compatible.*\[\?,28,28,1\]"),
    "no channel": ("serving_default", np.zeros((2, 28, 28), np.uint8),
                   r"\[2,28,28\] is not compatible.*\[\?,28,28,1\]"),
    "color": ("serving_default", np.zeros((2, 28, 28, 3), np.uint8),
              r"\[2,28,28,3\] is not compatible.*\[\?,28,28,1\]"),
    "floats": ("serving_default", np.zeros((2, 28, 28, 1), np.float32),
               "expected to be a uint8 tensor but is a float tensor"),
    "labels": ("serving_default", np.array([3, 4], np.int32),
               "expected to be a uint8 tensor but is a int32 tensor"),
    "files as images": ("serving_default", [b"\x89PNG"],
                        "expected to be a uint8 tensor but is a string"),
    "no images": ("serving_default", np.zeros((0, 28, 28, 1), np.uint8),
                  "the batch is empty"),
    "no files": ("image_bytes", np.zeros(0, "S1"), "the batch is empty"),
    "images as files": ("image_bytes", np.zeros((2, 28, 28, 1), np.uint8),
                        "expected to be a string tensor but is a uint8"),
    "one file, no batch": ("image_bytes", black_png(28, 28),
                           r"\[\] is not compatible with.*\[\?\]"),
    "batch of batches": ("image_bytes", [[black_png(28, 28)] * 2],
                         r"\[1,2\] is not compatible with.*\[\?\]"),
    "text": ("image_bytes", [b"this is no image at all"], NOT_KNOWN),
    "nothing": ("image_bytes", [b""], NOT_KNOWN),
    "one bad of three": ("image_bytes",
                         [black_png(28, 28), b"bad", black_png(28, 28)],
                         NOT_KNOWN),
    "GIF": ("image_bytes", [image_file(NOISE, "GIF")], NOT_KNOWN),
    "BMP": ("image_bytes", [image_file(NOISE, "BMP")], NOT_KNOWN),
    "PNG signature": ("image_bytes", [black_png(28, 28)[:8]], "IHDR"),
    "PNG cut in header": ("image_bytes", [black_png(28, 28)[:20]], TOO_LARGE),
    "PNG cut after header": ("image_bytes", [black_png(28, 28)[:33]],
                             "Invalid PNG"),
    "PNG cut in pixels": ("image_bytes", [image_file(NOISE, "PNG")[:5000]],
                          "Invalid PNG"),
    "JPEG signature": ("image_bytes", [b"\xff\xd8\xff"], "Invalid JPEG"),
    "JPEG cut in header": ("image_bytes", [image_file(NOISE, "JPEG")[:100]],
                           "Invalid JPEG"),
    "JPEG cut in pixels": ("image_bytes", [image_file(NOISE, "JPEG")[:3000]],
                           "Invalid JPEG"),
    "PNG without width": ("image_bytes", [claimed_png(0, 28)], TOO_LARGE),
    "PNG without height": ("image_bytes", [claimed_png(28, 0)], TOO_LARGE),
    "negative width": ("image_bytes", [claimed_png(2**32 - 1, 28)], TOO_LARGE),
    "negative height": ("image_bytes", [claimed_png(28, 2**31)], TOO_LARGE),
    "too wide": ("image_bytes", [black_png(4_097, 1)], TOO_LARGE),
    "too high": ("image_bytes", [black_png(1, 4_097)], TOO_LARGE),
    "JPEG too wide": ("image_bytes", [claimed_jpeg(4_097, 64)], TOO_LARGE),
    "JPEG too high": ("image_bytes", [claimed_jpeg(64, 4_097)], TOO_LARGE),
    "second header": ("image_bytes",
                      [black_png(28, 28, after=header(9_000, 9_000))],
                      "Invalid PNG"),
    "8 bits in 16": ("image_bytes", [image_file(NOISE.convert("I;16"), "PNG")],
                     r"the largest value is\D*\d{3}\b"),
    "CMYK": ("image_bytes", [image_file(NOISE.convert("CMYK"), "JPEG")],
             "CMYK or YCCK"),
    "nothing opaque": ("image_bytes", [image_file(of_two_inks(0, 0), "PNG")],
                       "nothing of the picture is opaque"),
    "dark ink": ("image_bytes", [image_file(of_two_inks(0, 60), "PNG")],
                 "too dark for black"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(ask, digits, case):
    signature, values, reason = REFUSED[case]
    with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
        ask(signature, values)
    assert re.search(reason, refusal.value.message), refusal.value.message
    # And it goes on answering.
    assert ask("serving_default", digits[:1])["class_id"].shape == (1,)


@pytest.mark.parametrize("sides", [(4_096, 1), (1, 4_096)])
def test_largest_sides_are_taken(ask, sides):
    expected = ask("serving_default", np.zeros((1, 28, 28, 1), np.uint8))
    answer = ask("image_bytes", [black_png(*sides)])
    np.testing.assert_array_equal(
        answer["probabilities"], expected["probabilities"]
    )


def test_an_animated_png_gives_its_first_picture(ask, digits):
    first, second = map(picture, digits[:2])
    file = image_file(first, "PNG", save_all=True, append_images=[second])
    assert b"acTL" in file
    np.testing.assert_array_equal(
        ask("image_bytes", [file])["probabilities"],
        ask("serving_default", digits[:1])["probabilities"],
    )


BOMBS = {
    "large": black_png(20_000, 20_000),
    # Decoders skip a chunk that they do not know, to find the header behind it.
    "large behind a small one": black_png(
        20_000, 20_000, before=chunk(b"abCd", struct.pack(">II", 28, 28))
    ),
    "large after a small one": black_png(28, 28, after=header(20_000, 20_000)),
    "JPEG": claimed_jpeg(20_000, 20_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.thorough
def test_large_pictures_are_refused_before_they_are_decoded(export, tmp_path):
    for name, bomb in BOMBS.items():
        assert len(bomb) < 1_000_000
        (tmp_path / name).write_bytes(bomb)
    code = """if True:
        import json, pathlib, re, sys
        import tensorflow as tf

        export, folder = sys.argv[1:]
        served = tf.saved_model.load(export)

        def peak():
            # Unlike getrusage, this leaves out what the parent once used.
            status = pathlib.Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)) / 1e3

        def grown_by(decode, file):
            before = peak()
            try:
                decode(tf.constant([file]))
                refused = False
            except tf.errors.InvalidArgumentError:
                refused = True
            return refused, peak() - before

        def answer(files):
            return served.signatures["image_bytes"](image_bytes=files)

        files = {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir()}
        good = tf.io.encode_png(tf.zeros((28, 28, 1), tf.uint8)).numpy()
        assert not grown_by(answer, good)[0]
        growth = {name: grown_by(answer, files[name]) for name in files}
        growth["decoded"] = grown_by(
            lambda files: tf.io.decode_png(files[0], 1), files["large"]
        )
        print(json.dumps(growth))
    """
    answer = run_python("-c", code, export, tmp_path)
    assert answer.returncode == 0, answer.stderr
    growth = json.loads(answer.stdout)
    refused, megabytes = growth.pop("decoded")
    assert not refused and megabytes > 300, "the measurement sees nothing"
    assert growth.keys() == BOMBS.keys()
    for name, (refused, megabytes) in growth.items():
        assert refused, name
        assert megabytes < 50, name


# --- the same of an autoencoder -----------------------------------------


def test_an_autoencoder_has_a_signature_each_way_and_through(
    autoencoder_export,
):
    served = tf.saved_model.load(str(autoencoder_export))
    found = {
        name: (
            *function.structured_input_signature[1],
            *sorted(function.structured_outputs),
        )
        for name, function in served.signatures.items()
    }
    assert found == {
        "serving_default": ("image", "image", "reconstruction"),
        "reconstruct": ("image", "image", "reconstruction"),
        "encode": ("image", "code"),
        "decode": ("code", "image", "reconstruction"),
    }


@pytest.mark.parametrize("size", [1, 7, 64])
def test_its_signatures_answer_as_the_halves_of_the_keras_model(
    ask_autoencoder, autoencoder, digits, size
):
    images = digits[:size]
    code = ask_autoencoder("encode", images)["code"]
    encoder = autoencoder.get_layer("encoder")
    assert code.dtype == np.float32
    assert code.shape == (size, 32)
    expected = encoder(images / np.float32(255), training=False)
    np.testing.assert_allclose(code, expected, atol=1e-5)

    decoded = ask_autoencoder("decode", code)
    expected = autoencoder.get_layer("decoder")(code, training=False)
    assert decoded["reconstruction"].shape == images.shape
    np.testing.assert_allclose(decoded["reconstruction"], expected, atol=1e-5)

    expected = autoencoder(images, training=False)
    for signature in ("reconstruct", "serving_default"):
        whole = ask_autoencoder(signature, images)
        assert whole.keys() == {"reconstruction", "image"}
        np.testing.assert_allclose(whole["reconstruction"], expected, atol=1e-5)


def test_its_pixels_are_its_reconstruction_rounded(ask_autoencoder, digits):
    answer = ask_autoencoder("reconstruct", digits)
    assert answer["reconstruction"].dtype == np.float32
    assert answer["image"].dtype == np.uint8
    np.testing.assert_array_equal(
        answer["image"], np.round(255 * answer["reconstruction"])
    )


def test_other_models_take_its_pixels(ask_autoencoder, ask, digits):
    pixels = ask_autoencoder("reconstruct", digits[:5])["image"]
    assert ask("serving_default", pixels)["class_id"].shape == (5,)
    again = ask_autoencoder("encode", pixels)["code"]
    assert np.isfinite(again).all()


def test_pictures_outside_of_the_range_are_clipped(digits):
    model = zoo.create_model("autoencoder", output_activation="linear")
    model.get_layer("decoder").get_layer("pixels").bias.assign([9.0] * 784)
    reconstruct = reconstruction().signatures(model)["reconstruct"]
    answer = reconstruct.function(tf.constant(digits[:2]))
    assert answer["reconstruction"].numpy().max() == 1
    assert answer["image"].numpy().max() == 255
    expected = reconstruct.expect(digits[:2])
    np.testing.assert_array_equal(answer["image"], expected["image"])


NOT_FINITE = "code must be finite"

REFUSED_BY_AUTOENCODER = {
    "NaN": ("decode", np.full((2, 32), np.nan, np.float32), NOT_FINITE),
    "an infinite number": ("decode", np.float32([[np.inf] + [0] * 31]),
                           NOT_FINITE),
    "short code": ("decode", np.zeros((2, 31), np.float32),
                   r"\[2,31\] is not compatible.*\[\?,32\]"),
    "long code": ("decode", np.zeros((2, 33), np.float32),
                  r"\[2,33\] is not compatible.*\[\?,32\]"),
    "one code, no batch": ("decode", np.zeros(32, np.float32),
                           r"\[32\] is not compatible.*\[\?,32\]"),
    "whole numbers": ("decode", np.zeros((2, 32), np.int32),
                      "expected to be a float tensor but is a int32 tensor"),
    "images as codes": ("decode", np.zeros((2, 28, 28, 1), np.uint8),
                        "expected to be a float tensor but is a uint8 tensor"),
    "no codes": ("decode", np.zeros((0, 32), np.float32), "the batch is empty"),
    **{
        f"{reason}, {name}": (name, *values)
        for name in ("encode", "reconstruct", "serving_default")
        for reason, (_, *values) in REFUSED.items()
        if reason in ("other height", "no channel", "color", "floats", "labels",
                      "no images")
    },
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_BY_AUTOENCODER)
def test_an_autoencoder_refuses_with_a_reason(ask_autoencoder, case):
    signature, values, reason = REFUSED_BY_AUTOENCODER[case]
    with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
        ask_autoencoder(signature, values)
    assert re.search(reason, refusal.value.message), refusal.value.message


# --- how it comes to be -------------------------------------------------


def small_model(**arguments):
    return zoo.create_model("softmax_regression", **arguments)


@pytest.mark.thorough
def test_export_is_verified_by_the_same_packages_and_in_silence(
    run, monkeypatch, capfd
):
    """In a folder whose own `recipes` would be found first."""
    (run.options.output_dir / "recipes").mkdir()
    (run.options.output_dir / "recipes" / "__init__.py").write_text("1 / 0")
    monkeypatch.chdir(run.options.output_dir)
    version = exporting.export(run, classification(), small_model(), METRICS)
    output = capfd.readouterr()
    assert output.out == (
        "exporting the model\n"
        "verifying the export in a fresh process\n"
        f"exported and verified {version}\n"
    )
    assert output.err == ""


@pytest.mark.thorough
def test_exports_at_the_same_time_take_turns(run, unverified, monkeypatch):
    monkeypatch.setattr(exporting, "_verify", lambda *_: time.sleep(0.3))
    versions = []

    def export():
        version = exporting.export(
            run, classification(), small_model(), METRICS
        )
        versions.append(version.name)

    threads = [threading.Thread(target=export) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == ["1", "2"]
    family = version_folder(run).parent
    assert listing(family) == ["1", "2"]
    assert zoo._loading.find_export(family) == family / "2"
    card = (family / "2" / "README.md").read_text()
    assert "saved_models/mnist_cnn-sample/2" in card


def version_folder(run, version=1):
    family = run.options.output_dir / "saved_models" / run.export_name
    return family / str(version)


def test_a_zero_padded_version_is_taken(run, unverified):
    (version_folder(run).parent / "0001").mkdir(parents=True)
    version = exporting.export(run, classification(), small_model(), METRICS)
    assert listing(version.parent) == ["0001", "2"]


def test_what_a_killed_export_left_is_not_served_and_goes(run, unverified):
    leftover = version_folder(run).parent / ".tmp-1"
    (leftover / "variables").mkdir(parents=True)
    (leftover / "SHA256SUMS").touch()
    with pytest.raises(ValueError, match="not an export"):
        zoo.load_model(leftover.parent)
    version = exporting.export(run, classification(), small_model(), METRICS)
    assert listing(leftover.parent) == [version.name] == ["1"]


@pytest.mark.thorough
def test_a_run_that_was_killed_after_its_export_makes_no_second_one(
    run, unverified, capsys
):
    model = small_model()

    def export(model=model, run=run):
        return exporting.export(run, classification(), model, METRICS).name

    assert export() == "1"
    (version_folder(run).parent / "7").mkdir()
    capsys.readouterr()
    assert export() == "1"
    assert capsys.readouterr().out == (
        f"exported and verified {version_folder(run)} before\n"
    )
    # What says which is not enough: the version must be it, and be whole.
    (version_folder(run) / "model.keras").write_bytes(b"")
    assert export() == "8"
    shutil.rmtree(version_folder(run, 8))
    assert export() == "8"
    version_folder(run, 8).rename(version_folder(run, 9))
    shutil.copytree(version_folder(run, 7), version_folder(run, 8))
    assert export() == "10"
    # Nor is the run, should its training have ended otherwise.
    assert export(small_model()) == "11"
    # A record is not believed to be one.
    (run.folder / "export.json").write_text("{")
    assert export() == "12"
    # In another output folder there is nothing yet.
    elsewhere = dataclasses.replace(
        run.options, output_dir=run.options.output_dir / "elsewhere"
    )
    assert export(run=dataclasses.replace(run, options=elsewhere)) == "1"


@pytest.mark.thorough
def test_a_run_that_was_killed_before_the_rename_exports_again(
    run, unverified, monkeypatch
):
    def die(*_):
        raise KeyboardInterrupt

    model = small_model()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            exporting.export(run, classification(), model, METRICS)
    assert (run.folder / "export.json").exists()
    # Meanwhile another run takes the number.
    (run.folder.parent / "another").mkdir()
    another = dataclasses.replace(run, folder=run.folder.parent / "another")
    exporting.export(another, classification(), small_model(), METRICS)
    assert exporting.export(run, classification(), model, METRICS).name == "2"


FULL = OSError(errno.ENOSPC, "No space left on device")
FULL_TENSORFLOW = tf.errors.ResourceExhaustedError(None, None, "disk is full")


@pytest.mark.parametrize(
    ("step", "error", "raised", "message"),
    [
        ("_write_saved_model", FULL, RecipeError, "kept: .*No space left"),
        ("_write_sums", FULL_TENSORFLOW, RecipeError, "kept: disk is full"),
        ("_write_sums", OSError(), RecipeError, r"kept: OSError\(\)"),
        ("_write_sums", KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
    ids=["full disk", "TensorFlow", "no reason", "Ctrl-C"],
)
def test_an_export_that_fails_leaves_nothing(
    run, monkeypatch, step, error, raised, message
):
    original = getattr(exporting, step)

    def fail(*arguments):
        original(*arguments)
        raise error

    monkeypatch.setattr(exporting, step, fail)
    with pytest.raises(raised, match=message):
        exporting.export(run, classification(), small_model(), METRICS)
    assert listing(version_folder(run).parent) == []


def test_a_file_in_the_way_is_named(run):
    family = version_folder(run).parent
    family.parent.mkdir()
    family.touch()
    with pytest.raises(RecipeError, match=str(family)):
        exporting.export(run, classification(), small_model(), METRICS)
    assert family.is_file()


@pytest.mark.faults
def test_an_export_that_answers_otherwise_is_dropped(
    tmp_path, monkeypatch, capsys
):
    def write_another(folder, signatures):
        original(folder, signatures_of(small_model()))

    original = exporting._write_saved_model
    monkeypatch.setattr(exporting, "_write_saved_model", write_another)
    flags = ["--dry-run", "--output-dir", tmp_path]
    assert run_recipe("mnist_softmax_regression", *flags) == 1
    assert "differs from the model: probab" in capsys.readouterr().err
    family = tmp_path / "saved_models" / "mnist_softmax_regression-sample"
    assert listing(family) == []


@pytest.mark.parametrize("num_classes", [9, 11])
def test_every_output_needs_a_name(run, num_classes):
    with pytest.raises(ValueError, match=f"10 classes.*{num_classes}"):
        exporting.export(
            run, classification(), small_model(num_classes=num_classes), METRICS
        )
    assert not version_folder(run).parent.exists()


@keras.saving.register_keras_serializable("test_export")
class Forgetful(keras.layers.Layer):
    """A layer whose configuration lacks an argument."""

    def __init__(self, scale=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return inputs * self.scale

    def get_config(self):
        return {"name": self.name}


def test_a_model_that_its_configuration_does_not_tell_is_refused(run):
    model = zoo.create_model("mlp", hidden_units=(8,))
    outputs = model.layers[-1](Forgetful(1.0)(model.layers[-2].output))
    with pytest.raises(RecipeError, match="get_config"):
        exporting.export(
            run, classification(), keras.Model(model.input, outputs), METRICS
        )
    assert listing(version_folder(run).parent) == []


@contextlib.contextmanager
def mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.thorough
def test_mixed_precision_is_exported_as_float32(run, digits):
    with mixed_precision():
        trained = zoo.create_model("cnn")
        version = exporting.export(run, classification(), trained, METRICS)

    model = zoo.load_model(version, verbose=False)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    probabilities = model(digits, training=False).numpy()
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    rounded = trained(digits, training=False).numpy().astype("float32")
    np.testing.assert_allclose(probabilities, rounded, atol=0.02)
    served = tf.saved_model.load(str(version))
    answer = served.signatures["serving_default"](image=digits)
    assert answer["probabilities"].dtype == tf.float32
    # The model that was trained is left as it was.
    assert trained.layers[-1].compute_dtype == "bfloat16"


# --- made anew ----------------------------------------------------------


def content_of(export):
    return {
        path.relative_to(export).as_posix(): path.read_bytes()
        for path in export.rglob("*")
        if path.is_file()
    }


def with_new_sums(export):
    (export / "SHA256SUMS").unlink()
    exporting._write_sums(export)


KEPT = r"README.md|metrics.json|model.keras|assets/.*|variables/.*"


@pytest.mark.thorough
def test_an_export_is_made_anew_around_its_weights(run, tampered):
    """By the same code, so that the card stays as well."""
    (tampered / "saved_model.pb").write_bytes(b"of other code")
    with_new_sums(tampered)
    before = content_of(tampered)
    exporting.remake(tampered, run, classification())
    assert listing(tampered.parent) == ["1", "run"]
    _loading.check_sums(tampered)
    after = content_of(tampered)
    assert after.keys() == before.keys()
    for name in filter(re.compile(KEPT).fullmatch, before):
        assert after[name] == before[name], name
    answer = asking(tampered)("serving_default", run.data.test.inputs[:3])
    assert answer["class_name"].shape == (3,)


@pytest.mark.thorough
def test_an_autoencoder_is_made_anew(run, autoencoder_export, tmp_path):
    export = shutil.copytree(autoencoder_export, tmp_path / "1")
    before = content_of(export)
    run = dataclasses.replace(run, recipe="mnist_autoencoder")
    exporting.remake(export, run, reconstruction())
    _loading.check_sums(export)
    after = content_of(export)
    assert after.keys() == before.keys()
    for name in filter(re.compile(KEPT).fullmatch, before):
        assert after[name] == before[name], name


def test_weights_that_differ_are_left_as_they_are(run, tampered, other_weights):
    other_weights.save(tampered / "model.keras")
    with_new_sums(tampered)
    before = content_of(tampered)
    with pytest.raises(RecipeError, match="have other weights"):
        exporting.remake(tampered, run, classification())
    assert content_of(tampered) == before
    assert listing(tampered.parent) == ["1", "run"]


@pytest.mark.thorough
def test_what_is_not_verified_takes_no_place(run, tampered):
    before = content_of(tampered)
    with pytest.raises(RecipeError, match="class_name in"):
        exporting.remake(tampered, run, Wrong())
    assert content_of(tampered) == before
    assert listing(tampered.parent) == ["1", "run"]


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A task whose graph and whose expectation have other names."""

    right: object = dataclasses.field(default_factory=classification)

    def __getattr__(self, name):
        return getattr(self.right, name)

    def signatures(self, model):
        right = self.right.signatures(model)
        wrong = classification("1234567890").signatures(model)
        return {
            name: right[name]._replace(expect=wrong[name].expect)
            for name in right
        }


# --- the verification ---------------------------------------------------


def signatures_of(model, names="0123456789"):
    return classification(names).signatures(model)


@pytest.fixture(scope="module")
def exam(export, digits):
    """The exam to which the export knows the answers, as bytes."""
    model = zoo.load_model(export, verbose=False)
    return saved(exporting.exam(model, signatures_of(model), digits))


def saved(exam):
    file = io.BytesIO()
    np.savez(file, **exam)
    return file.getvalue()


@pytest.fixture
def tampered(export, tmp_path):
    """A copy of the export, to be changed."""
    return shutil.copytree(export, tmp_path / "1")


def verify(export, exam):
    (export / "SHA256SUMS").unlink()
    exporting._write_sums(export)
    return verification.main(export, io.BytesIO(exam))


def test_a_good_export_is_verified(tampered, exam):
    assert verify(tampered, exam) is None


@pytest.fixture
def other_weights(export):
    """The exported model, a little more certain of everything."""
    model = zoo.load_model(export, verbose=False)
    kernel = model.get_layer("predictions").kernel
    kernel.assign(kernel * 1.01)
    return model


def test_other_variables_are_found(tampered, exam, other_weights):
    exporting._write_saved_model(tampered, signatures_of(other_weights))
    found = verify(tampered, exam)
    assert "differs from the model: probabilities by" in found


@pytest.mark.thorough
def test_another_keras_model_is_found(tampered, exam, other_weights):
    other_weights.save(tampered / "model.keras")
    found = verify(tampered, exam)
    assert "model.keras differs from the model: output by" in found


@pytest.mark.thorough
def test_other_class_names_are_found(tampered, exam):
    model = zoo.load_model(tampered, verbose=False)
    exporting._write_saved_model(tampered, signatures_of(model, "0123456798"))
    assert "differs from the model: class_name in" in verify(tampered, exam)


def test_a_signature_too_few_is_found(tampered, exam):
    signatures = signatures_of(zoo.load_model(tampered, verbose=False))
    del signatures["image_bytes"]
    exporting._write_saved_model(tampered, signatures)
    assert "the signatures are ['serving_default']" in verify(tampered, exam)


@pytest.fixture(scope="module")
def autoencoder_exam(autoencoder, digits):
    """The exam to which the autoencoder's export knows the answers."""
    signatures = reconstruction().signatures(autoencoder)
    return exporting.exam(autoencoder, signatures, digits)


@pytest.fixture
def examine(autoencoder_export, autoencoder_exam):
    """Ask the autoencoder's export for its own answers, with some changed."""

    def examine(changes):
        exam = saved(autoencoder_exam | changes)
        return verification.main(autoencoder_export, io.BytesIO(exam))

    return examine


@pytest.mark.parametrize("half", ["encode", "decode"])
def test_a_half_of_another_autoencoder_is_found(
    half, autoencoder_export, autoencoder, autoencoder_exam, tmp_path
):
    tampered = shutil.copytree(autoencoder_export, tmp_path / "1")
    other = keras.models.clone_model(autoencoder)  # with weights of its own
    signatures = reconstruction().signatures(autoencoder)
    signatures[half] = reconstruction().signatures(other)[half]
    exporting._write_saved_model(tampered, signatures)
    found = verify(tampered, saved(autoencoder_exam))
    assert re.match(rf"{half} differs from the model: \w+ by", found)


def moved_by(step, pixels):
    """Make every pixel lighter or darker by a step."""
    return np.where(pixels < 128, pixels + step, pixels - step).astype("uint8")


@pytest.mark.parametrize("key", ["reconstruct", "decode"])
def test_a_pixel_may_be_rounded_the_other_way_and_no_further(
    key, examine, autoencoder_exam
):
    key += "/expect/image"
    pixels = autoencoder_exam[key]
    assert examine({key: moved_by(1, pixels)}) is None
    found = examine({key: moved_by(2, pixels)})
    assert "image by 2; at most 1 is rounding" in found


def test_one_pixel_of_all_is_found(examine, autoencoder_exam):
    pixels = autoencoder_exam["decode/expect/image"].copy()
    pixels[-1, -1, -1] ^= 128
    assert "decode differs from the model: image by" in examine(
        {"decode/expect/image": pixels}
    )


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_outputs_of_another_type_are_found(dtype, examine, autoencoder_exam):
    key = "encode/expect/code"
    other = np.round(autoencoder_exam[key]).astype(dtype)
    assert f"code is float32, not {dtype}" in examine({key: other})


def test_outputs_of_another_shape_are_found(examine, autoencoder_exam):
    key = "encode/expect/code"
    found = examine({key: autoencoder_exam[key][:, :-1]})
    assert "code has the shape (100, 32), not (100, 31)" in found


def test_outputs_of_another_name_are_found(examine):
    found = examine({"encode/expect/codes": np.zeros(1)})
    assert found == "encode returns ['code'], not ['code', 'codes']"


def test_logits_are_no_probabilities(run):
    logits = small_model(classifier_activation=None)
    with pytest.raises(RecipeError, match="do not sum to 1"):
        exporting.export(run, classification(), logits, METRICS)
    assert listing(version_folder(run).parent) == []


# --- the card -----------------------------------------------------------


def read_yaml(text):
    """Read the little YAML that a card needs: maps, lists and plain words."""
    lines = text.strip("\n").splitlines()
    if not lines[0].startswith("- ") and ":" not in lines[0]:
        assert len(lines) == 1
        return lines[0]
    blocks = []
    for line in lines:
        if (
            line.startswith("- ") == lines[0].startswith("- ")
            and line[0] != " "
        ):
            blocks.append([])
        blocks[-1].append(line)
    if lines[0].startswith("- "):
        return [
            read_yaml("\n".join(line[2:] for line in block)) for block in blocks
        ]
    content = {}
    for first, *rest in blocks:
        key, value = re.fullmatch(r"([\w-]+):(?: ([^:#]+))?", first).groups()
        assert key not in content and bool(value) != bool(rest)
        content[key] = value or read_yaml(textwrap.dedent("\n".join(rest)))
    return content


@pytest.fixture
def card(export):
    return (export / "README.md").read_text()


def code_block(card, language):
    return re.search(rf"```{language}\n(.*?)```", card, re.DOTALL).group(1)


def test_card_says_what_hugging_face_asks(card, export):
    metadata = read_yaml(front_matter(card))
    assert metadata["license"] == "apache-2.0"
    assert metadata["library_name"] == "keras"
    assert metadata["pipeline_tag"] == "image-classification"
    (model,) = metadata["model-index"]
    assert model["name"] == "mnist_cnn-sample"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"].keys() == {"type", "name", "split"}
    (metric,) = result["metrics"]
    metrics = json.loads((export / "metrics.json").read_text())["metrics"]
    assert metric["type"] == "accuracy"
    assert float(metric["value"]) == round(metrics["test_accuracy"], 4)


@pytest.fixture
def autoencoder_card(autoencoder_export):
    return (autoencoder_export / "README.md").read_text()


def test_card_of_an_autoencoder_says_the_same(
    autoencoder_card, autoencoder_export
):
    metadata = read_yaml(front_matter(autoencoder_card))
    assert metadata["pipeline_tag"] == "image-feature-extraction"
    (model,) = metadata["model-index"]
    assert model["name"] == "mnist_autoencoder-sample"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-feature-extraction"
    (metric,) = result["metrics"]
    record = json.loads((autoencoder_export / "metrics.json").read_text())
    assert metric["type"] == "mse"
    expected = record["metrics"]["test_mse"]
    assert float(metric["value"]) == pytest.approx(expected, rel=1e-3)


def test_card_says_how_pixels_are_meant(card):
    assert "white on black" in card
    assert "Do not divide by 255" in card
    assert f"{image_files.LARGEST_SIDE:,} pixels" in card


def test_python_of_the_card_runs(card, dry_run, digits, monkeypatch, capsys):
    monkeypatch.chdir(dry_run)
    names = {"images": digits[:3]}
    exec(code_block(card, "python"), names)
    assert names["answer"]["class_name"].shape == (3,)
    assert "dtype=string" in capsys.readouterr().out


def test_python_of_an_autoencoder_card_runs(
    autoencoder_card, autoencoder_dry_run, digits, monkeypatch, capsys
):
    monkeypatch.chdir(autoencoder_dry_run)
    names = {"images": digits[:3]}
    exec(code_block(autoencoder_card, "python"), names)
    assert names["code"].shape == (3, 32)
    assert names["answer"]["image"].shape == (3, 28, 28, 1)
    assert "dtype=float32" in capsys.readouterr().out


def test_curl_of_the_card_sends_what_serving_reads(
    card, ask, digits, tmp_path, monkeypatch
):
    """The name of a signature and instances, bytes as `{"b64": ...}`."""
    (tmp_path / "image.png").write_bytes(png_file(digits[0]))
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$@" > arguments\ncat > body\n')
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    subprocess.run(
        ["sh", "-euc", code_block(card, "sh")], cwd=tmp_path, check=True
    )
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[-1].endswith("/v1/models/mnist_cnn-sample:predict")
    assert arguments[-3:-1] == ["-d", "@-"]
    body = json.loads((tmp_path / "body").read_text())
    assert body.keys() == {"signature_name", "instances"}
    (instance,) = body["instances"]
    assert instance.keys() == {"b64"}
    answer = ask(body["signature_name"], [base64.b64decode(instance["b64"])])
    np.testing.assert_array_equal(
        answer["probabilities"],
        ask("serving_default", digits[:1])["probabilities"],
    )
