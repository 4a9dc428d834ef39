"""What was made to do harm does none: exports and pictures."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import run_python
from helpers.damage import DAMAGE, LINUX, MEMORY
from helpers.pictures import image_file
from helpers.tasks import classification
from PIL import ExifTags, Image

import zoo
from recipes.lab.export import exporting

# --- the SavedModel -----------------------------------------------------


@pytest.fixture(scope="module")
def with_variables_of_another(export, tmp_path_factory):
    """An export with the variables of another, and the sums it had."""
    folder = tmp_path_factory.mktemp("swapped")
    model = zoo.load_model(export, verbose=False)
    kernel = model.get_layer("predictions").kernel
    kernel.assign(-kernel)
    signatures = classification().signatures(model)
    exporting._write_saved_model(folder / "other", signatures)
    swapped = shutil.copytree(export, folder / "swapped")
    shutil.rmtree(swapped / "variables")
    shutil.copytree(folder / "other" / "variables", swapped / "variables")
    return swapped


@pytest.fixture
def swapped(with_variables_of_another, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(with_variables_of_another, tmp_path / "swapped")


def test_swapped_variables_are_found_by_the_sums(swapped):
    with pytest.raises(ValueError, match="variables/variables.* was changed"):
        zoo.load_model(swapped)


def test_swapped_variables_with_new_sums_are_another_export(swapped):
    """The sums say that it is whole, and nothing of who wrote it."""
    (swapped / "SHA256SUMS").unlink()
    exporting._write_sums(swapped)
    assert zoo.load_model(swapped, verbose=False)


@pytest.mark.parametrize("file", ["variables.index", "variables.data"])
def test_damaged_variables_are_never_served(file, export, tmp_path):
    damaged = shutil.copytree(export, tmp_path / "damaged")
    [path] = (damaged / "variables").glob(f"{file}*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.OpError):
        tf.saved_model.load(str(damaged))


# --- noise --------------------------------------------------------------


def picture_files():
    """PNG and JPEG files of every kind."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (40, 60, 3)).astype("uint8")
    color = Image.fromarray(pixels)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield image_file(color.convert(mode), "PNG")
    sixteen_bits = Image.fromarray(pixels[..., 0].astype("uint16") * 257)
    yield image_file(sixteen_bits, "PNG")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for kind in ("PNG", "JPEG"):
        yield image_file(color, kind, exif=exif)
    ink = Image.new("RGBA", color.size)
    ink.putalpha(color.getchannel(0))
    yield image_file(ink, "PNG")
    for mode in ("L", "RGB"):
        for progressive in (False, True):
            picture = color.convert(mode)
            yield image_file(picture, "JPEG", progressive=progressive)
    yield image_file(Image.new("L", (4_096, 4_096)), "PNG")
    large_ink = Image.new("LA", (4_096, 4_096))
    large_ink.putpixel((0, 0), (0, 255))
    yield image_file(large_ink, "PNG")
    yield image_file(Image.new("L", (4_096, 4_096)), "JPEG")


PICTURES = 10_000


@LINUX
@pytest.mark.faults
def test_damaged_pictures_are_refused_or_answered(export, tmp_path):
    for number, content in enumerate(picture_files()):
        (tmp_path / f"{number:02}").write_bytes(content)
    code = (
        MEMORY
        + DAMAGE
        + """if True:
        import collections, json, sys
        import tensorflow as tf

        export, folder, count = sys.argv[1:]
        served = tf.saved_model.load(export)
        files = [p.read_bytes() for p in sorted(pathlib.Path(folder).iterdir())]

        def answer(files):
            answer = served.signatures["image_bytes"](image_bytes=files)
            return answer["probabilities"].numpy()

        before = [answer([file]).tolist() for file in files]
        started = megabytes("VmHWM")
        generator = np.random.default_rng(0)
        outcomes = collections.Counter()
        for number in range(int(count)):
            file = damaged(files[number % len(files)], generator)
            try:
                found = answer([file])
                assert found.shape == (1, 10)
                assert np.isfinite(found).all()
                outcomes["answered"] += 1
            except tf.errors.InvalidArgumentError:
                outcomes["refused"] += 1
        assert [answer([file]).tolist() for file in files] == before
        outcomes["grown by"] = megabytes("VmHWM") - started
        print(json.dumps(outcomes))
    """
    )
    answer = run_python("-c", code, export, tmp_path, PICTURES, timeout=600)
    assert answer.returncode == 0, answer.stderr
    outcomes = json.loads(answer.stdout)
    print(outcomes)
    assert outcomes["answered"] + outcomes["refused"] == PICTURES
    assert min(outcomes["answered"], outcomes["refused"]) > PICTURES / 10
    assert outcomes["grown by"] < 100, outcomes  # megabytes
