"""An export answers as the model does, and refuses what it must."""

import io
import json
import re
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python
from helpers.pictures import chunk, image_file, picture, png_file
from helpers.tasks import reconstruction
from PIL import Image

import zoo

# --- what it answers ----------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("signature", ["serving_default", "image_bytes"])
def test_signature_answers_as_the_keras_model(
    export, ask, scored, signature, size
):
    images = scored[:size]
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
def test_png_files_of_any_kind_give_the_same_pixels(ask, scored, draw):
    files = [image_file(draw(image), "PNG") for image in scored[:5]]
    np.testing.assert_array_equal(
        ask("image_bytes", files)["probabilities"],
        ask("serving_default", scored[:5])["probabilities"],
    )


def test_jpeg_files_give_almost_the_same(ask, scored):
    files = [
        image_file(picture(image).convert(mode), "JPEG", quality=100)
        for image, mode in zip(scored[:6], ["L", "RGB"] * 3, strict=True)
    ]
    pixels = [
        np.array(Image.open(io.BytesIO(file)).convert("L")) for file in files
    ]
    np.testing.assert_allclose(
        ask("image_bytes", files)["probabilities"],
        ask("serving_default", np.array(pixels)[..., None])["probabilities"],
        atol=0.02,
    )


def test_pictures_of_other_sizes_are_resized_smoothly(ask, scored):
    sizes = [(20, 20), (29, 27), (56, 14), (280, 280), (1, 1), (28, 28)]
    pictures = [
        picture(image).resize(size)
        for image, size in zip(scored, sizes, strict=False)
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


def test_a_mixed_batch_answers_as_its_files_do_alone(ask, scored):
    one, two, three = map(picture, scored[:3])
    files = [
        image_file(one, "PNG"),
        image_file(two.resize((100, 60)).convert("RGB"), "JPEG"),
        image_file(three.resize((9, 9)).convert("RGBA"), "PNG"),
    ]
    alone = [ask("image_bytes", [file])["probabilities"][0] for file in files]
    together = ask("image_bytes", files)["probabilities"]
    np.testing.assert_allclose(together, alone, atol=1e-6)


# --- what it refuses ----------------------------------------------------


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
def test_refused_with_a_reason(ask, scored, case):
    signature, values, reason = REFUSED[case]
    with pytest.raises(tf.errors.InvalidArgumentError) as refusal:
        ask(signature, values)
    assert re.search(reason, refusal.value.message), refusal.value.message
    # And it goes on answering.
    assert ask("serving_default", scored[:1])["class_id"].shape == (1,)


@pytest.mark.parametrize("sides", [(4_096, 1), (1, 4_096)])
def test_largest_sides_are_taken(ask, sides):
    expected = ask("serving_default", np.zeros((1, 28, 28, 1), np.uint8))
    answer = ask("image_bytes", [black_png(*sides)])
    np.testing.assert_array_equal(
        answer["probabilities"], expected["probabilities"]
    )


def test_an_animated_png_gives_its_first_picture(ask, scored):
    first, second = map(picture, scored[:2])
    file = image_file(first, "PNG", save_all=True, append_images=[second])
    assert b"acTL" in file
    np.testing.assert_array_equal(
        ask("image_bytes", [file])["probabilities"],
        ask("serving_default", scored[:1])["probabilities"],
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
        "serving_default": ("image", "pixels", "reconstruction"),
        "reconstruct": ("image", "pixels", "reconstruction"),
        "encode": ("image", "code"),
        "decode": ("code", "pixels", "reconstruction"),
    }


@pytest.mark.parametrize("size", [1, 7, 64])
def test_its_signatures_answer_as_the_halves_of_the_keras_model(
    ask_autoencoder, autoencoder, scored, size
):
    images = scored[:size]
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
        assert whole.keys() == {"reconstruction", "pixels"}
        np.testing.assert_allclose(whole["reconstruction"], expected, atol=1e-5)


def test_its_pixels_are_its_reconstruction_rounded(ask_autoencoder, scored):
    answer = ask_autoencoder("reconstruct", scored)
    assert answer["reconstruction"].dtype == np.float32
    assert answer["pixels"].dtype == np.uint8
    np.testing.assert_array_equal(
        answer["pixels"], np.round(255 * answer["reconstruction"])
    )


def test_other_models_take_its_pixels(ask_autoencoder, ask, scored):
    pixels = ask_autoencoder("reconstruct", scored[:5])["pixels"]
    assert ask("serving_default", pixels)["class_id"].shape == (5,)
    again = ask_autoencoder("encode", pixels)["code"]
    assert np.isfinite(again).all()


def test_pictures_outside_of_the_range_are_clipped(scored):
    model = zoo.create_model("autoencoder", output_activation="linear")
    model.get_layer("decoder").get_layer("pixels").bias.assign([9.0] * 784)
    reconstruct = reconstruction().signatures(model)["reconstruct"]
    answer = reconstruct.function(tf.constant(scored[:2]))
    assert answer["reconstruction"].numpy().max() == 1
    assert answer["pixels"].numpy().max() == 255
    expected = reconstruct.expect(scored[:2])
    np.testing.assert_array_equal(answer["pixels"], expected["pixels"])


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
