#!/usr/bin/env bash
# One would guess that the gray of an RGB PNG depends on its pixels alone, as in
# tf.image.rgb_to_grayscale and in Pillow.
# In fact TensorFlow leaves it to libpng, which mixes the colors in linear light
# if the file has a gAMA or sRGB chunk: pure red becomes 147 then, 76 otherwise.
# decode_png(channels=3) gives the same pixels for both files, so it takes no
# gamma into account, and an iCCP chunk changes nothing. Keras inherits it in
# part: image_dataset_from_directory(color_mode="grayscale") decodes with
# TensorFlow, load_img(color_mode="grayscale") with Pillow, so a model may be
# trained on other grays than it is asked about.
# Seen in TensorFlow 2.14.0 and 2.21.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow==2.21.0 keras==3.15.1 pillow==13.0.0
cd "$work"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import pathlib
import struct
import sys

import keras
import numpy as np
import PIL
import tensorflow as tf
from PIL import Image, ImageCms, PngImagePlugin

srgb_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
gamma = PngImagePlugin.PngInfo()
gamma.add(b"gAMA", struct.pack(">I", 45455))  # 1 / 2.2, in hundred thousandths
srgb = PngImagePlugin.PngInfo()
srgb.add(b"sRGB", bytes([0]))  # perceptual intent
files = {
    "no color chunk": {},
    "gAMA 1/2.2": {"pnginfo": gamma},
    "sRGB": {"pnginfo": srgb},
    "iCCP of sRGB": {"icc_profile": srgb_profile.tobytes()},
}

print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, ", end="")
print(f"Pillow {PIL.__version__}")
print("One pixel, (255, 0, 0), in four PNG files; its gray by")
print(f"{'':16}decode_png  rgb_to_grayscale  directory  load_img")
seen = {}
for name, chunks in files.items():
    path = pathlib.Path(name.replace(" ", "_").replace("/", "_"), "red.png")
    path.parent.mkdir()
    Image.new("RGB", (1, 1), (255, 0, 0)).save(path, **chunks)
    content = path.read_bytes()
    rgb = tf.io.decode_png(content, channels=3)
    assert rgb.numpy().ravel().tolist() == [255, 0, 0], rgb
    directory = keras.utils.image_dataset_from_directory(
        path.parent,
        labels=None,
        color_mode="grayscale",
        image_size=(1, 1),
        interpolation="nearest",
        verbose=False,
    )
    grays = (
        tf.io.decode_png(content, channels=1),
        tf.image.rgb_to_grayscale(rgb),
        next(iter(directory)),
        keras.utils.load_img(path, color_mode="grayscale"),
    )
    seen[name] = tuple(int(np.asarray(gray).item()) for gray in grays)
    print("{:16}{:10d}  {:16d}  {:9d}  {:8d}".format(name, *seen[name]))

expected = {
    "no color chunk": (76, 76, 76, 76),
    "gAMA 1/2.2": (147, 76, 147, 76),
    "sRGB": (147, 76, 147, 76),
    "iCCP of sRGB": (76, 76, 76, 76),
}
if seen != expected:
    sys.exit(f"The behavior is no longer as stated: {expected}")
linear = round(255 * 0.299 ** (1 / 2.2))
print(f"The gray of red in linear light: 255 * 0.299 ** (1 / 2.2) = {linear}")
PYTHON
