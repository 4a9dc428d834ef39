"""The networks of some recipes in PyTorch, as fast as it trains and answers.

Architecture, initial distribution and hyper-parameters are the recipes'; what
their `Config` holds is read from there. The images are in memory as bytes, as
ours are, and every epoch shuffles, shifts and mirrors them as a recipe does.
There is no validation, no checkpoint, no metric and no progress bar.

Measured, and chosen: convolutions on `channels_last` tensors take two thirds of
the default's time; fused optimizers beat those that loop over the weights. A
network that `torch.compile` has compiled trains a quarter faster, after 19 to
60 seconds of compilation, so that no training here gains by it. It is asked
traced, traced and optimized, and compiled, on one thread and on all, and the
fastest way counts: there compilation comes before the clock starts. One thread
is often faster: 132 us against 158 for one image, and where other programs run,
threads that wait for each other take several times as long.
"""

import importlib
import math
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Rescaling(nn.Module):
    """Raw pixels `(batch, height, width)` to [0, 1]."""

    def forward(self, images):
        return images.float() / 255


class AddChannel(nn.Module):
    """Images without channels to images of one."""

    def forward(self, images):
        return images.unsqueeze(1)


class FlattenChannelsLast(nn.Module):
    """Maps to vectors in Keras' order, which `channels_last` has in memory."""

    def forward(self, maps):
        return maps.permute(0, 2, 3, 1).flatten(1)


class LastState(nn.Module):
    """What a recurrent layer remembers after the last row."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, rows):
        states, _ = self.layer(rows)
        return states[:, -1]


def cnn() -> nn.Module:
    """Build `zoo.convolutional.cnn`."""
    return _convolutional(
        conv1=nn.Conv2d(1, 32, 5, stride=2, bias=False),
        pool1=nn.MaxPool2d(2),
        norm1=_shifting(nn.BatchNorm2d(32, eps=1e-3, momentum=0.2)),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(32, 64, 3, bias=False),
        norm2=_shifting(nn.BatchNorm2d(64, eps=1e-3, momentum=0.2)),
        relu2=nn.ReLU(),
        flatten=FlattenChannelsLast(),
        hidden1=nn.Linear(1024, 128, bias=False),
        norm3=_shifting(nn.BatchNorm1d(128, eps=1e-3, momentum=0.2)),
        relu3=nn.ReLU(),
        predictions=nn.Linear(128, 10),
    )


def deep_cnn() -> nn.Module:
    """Build `zoo.convolutional.deep_cnn`; strides begin one pixel earlier."""
    named, channels = {}, 1
    stages = ((32, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 3, 2))
    for i, (maps, kernel, stride) in enumerate(stages, start=1):
        named[f"conv{i}"] = nn.Conv2d(
            channels, maps, kernel, stride, kernel // 2, bias=False
        )
        norm = nn.BatchNorm2d(maps, eps=1e-3, momentum=0.2)
        named[f"norm{i}"] = _shifting(norm)
        named[f"relu{i}"] = nn.ReLU()
        channels = maps
    return _convolutional(
        **named,
        flatten=FlattenChannelsLast(),
        dropout=nn.Dropout(0.3),
        predictions=nn.Linear(2048, 10),
    )


def recurrent(layer_class) -> nn.Module:
    """Build a network of `zoo.recurrent`."""
    layer = layer_class(28, 128, batch_first=True)
    nn.init.orthogonal_(layer.weight_hh_l0)
    nn.init.zeros_(layer.bias_hh_l0)
    if layer_class is not nn.GRU:  # the others have one bias in Keras
        layer.bias_hh_l0.requires_grad_(False)
    model = _initialized(
        rescaling=Rescaling(),
        rows=LastState(layer),
        predictions=nn.Linear(128, 10),
    )
    if layer_class is nn.LSTM:
        with torch.no_grad():
            layer.bias_ih_l0[128:256] = 1  # the forget gate starts open
    return model


def deep_autoencoder() -> nn.Module:
    """Build `zoo.autoencoders.deep_autoencoder`, to a row of pixels."""
    widths = (784, 128, 64, 32, 64, 128, 784)
    named = {}
    for i, (wide, narrow) in enumerate(zip(widths, widths[1:], strict=False)):
        named[f"dense{i}"] = nn.Linear(wide, narrow)
        if narrow not in (32, 784):
            named[f"gelu{i}"] = nn.GELU()
    return _initialized(
        rescaling=Rescaling(), flatten=nn.Flatten(), **named, sig=nn.Sigmoid()
    )


def _convolutional(**named) -> nn.Module:
    model = _initialized(rescaling=Rescaling(), channel=AddChannel(), **named)
    return model.to(memory_format=torch.channels_last)


def _shifting(norm):
    """Fix the scale of a normalization, as the zoo's have none."""
    norm.weight.requires_grad_(False)
    return norm


def _initialized(**named) -> nn.Module:
    """Return the layers one after another, initialised as Keras does."""
    model = nn.Sequential(OrderedDict(named))
    for name, parameter in model.named_parameters():
        if "_hh_" in name:
            continue
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
    return model


def _adam(model, config):
    return [torch.optim.Adam(_trained(model), betas=(0.7, 0.9), **_SAME)]


def _adamw(model, config):
    decay = getattr(config, "weight_decay", 0.004)  # Keras' default
    return [torch.optim.AdamW(_trained(model), weight_decay=decay, **_SAME)]


def _muon(model, config):
    """Return what Keras' Muon is: Muon for matrices, AdamW for vectors."""
    parameters = _trained(model)
    return [
        torch.optim.Muon(
            [p for p in parameters if p.dim() == 2],
            weight_decay=0.004,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(
            [p for p in parameters if p.dim() != 2],
            weight_decay=0.004,
            **_SAME,
        ),
    ]


_SAME = {"eps": 1e-7, "fused": True}


def _trained(model):
    return [p for p in model.parameters() if p.requires_grad]


@dataclass(frozen=True)
class Network:
    """How a recipe's network is built and trained.

    Attributes:
        build: Returns the network.
        optimizers: Function `(model, config)` that returns its optimizers.
        warmup: Share of the steps for which the learning rate rises.
        shift: The farthest that augmentation moves an image, in pixels.
        flip: Whether augmentation mirrors images.
    """

    build: Callable
    optimizers: Callable = _adamw
    warmup: float = 0.2
    shift: int = 0
    flip: bool = False


NETWORKS = {
    "mnist_cnn": Network(cnn, _adam, warmup=0.25, shift=1),
    "mnist_lstm": Network(lambda: recurrent(nn.LSTM), shift=2),
    "mnist_gru": Network(lambda: recurrent(nn.GRU), shift=2),
    "mnist_simple_rnn": Network(lambda: recurrent(nn.RNN), shift=1),
    "fashion_mnist_cnn": Network(deep_cnn, warmup=0.25, shift=1, flip=True),
    "mnist_deep_autoencoder": Network(deep_autoencoder, _muon, warmup=0.1),
}


def fit(recipe: str, epochs: int, seed: int, train, test) -> tuple:
    """Train a recipe's network, and score it after the clock has stopped.

    Args:
        recipe: One of `NETWORKS`.
        epochs: Number of epochs.
        seed: Seed of everything that is drawn.
        train: Images, uint8 `(n, height, width, 1)`, and their labels.
        test: The same of the test set.

    Returns:
        Wall seconds of each epoch, CPU seconds of each, and the recipe's first
        metric on the test set: accuracy, or the mean squared error of an
        autoencoder.
    """
    torch.manual_seed(seed)
    network = NETWORKS[recipe]
    config = importlib.import_module(f"recipes.{recipe}").Config()
    model = network.build()
    optimizers = network.optimizers(model, config)
    groups = [group for o in optimizers for group in o.param_groups]
    images, labels = _tensors(train)
    steps = len(images) // config.batch_size
    loss = _loss(config)
    marks = [(time.perf_counter(), time.process_time())]
    cut = _every_shift(images, network.shift)
    step = 0
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for rows in order.split(config.batch_size)[:steps]:
            rate = one_cycle(step, epochs * steps, network.warmup)
            for group in groups:
                group["lr"] = config.learning_rate * rate
            batch = _augmented(cut, rows, network)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss(model(batch), batch, labels[rows]).backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1
        marks.append((time.perf_counter(), time.process_time()))
    seconds, cpu_seconds = np.diff(marks, axis=0).T.tolist()
    return seconds, cpu_seconds, score(model, *_tensors(test))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of `training.one_cycle` for a peak of 1."""
    rising = int(warmup * steps)
    if step < rising:
        return 0.1 + 0.9 * step / rising
    return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def score(model, images, labels) -> float:
    """Return the accuracy, or the mean squared error of pictures."""
    model.eval()
    with torch.inference_mode():
        outputs = model(images)
        if outputs.shape[1] > 10:
            return functional.mse_loss(outputs, _pixels(images)).item()
        return (outputs.argmax(1) == labels).float().mean().item()


def _tensors(split):
    images, labels = split
    return torch.from_numpy(images[..., 0]), torch.from_numpy(labels).long()


def _loss(config):
    if not hasattr(config, "label_smoothing"):
        return lambda outputs, images, labels: functional.mse_loss(
            outputs, _pixels(images)
        )
    return lambda outputs, images, labels: functional.cross_entropy(
        outputs, labels, label_smoothing=config.label_smoothing
    )


def _pixels(images):
    return images.flatten(1).float() / 255


def _every_shift(images, pixels):
    """Return a view `(n, down, right, height, width)` of padded images."""
    _, height, width = images.shape
    padded = functional.pad(images, (pixels,) * 4)
    return padded.unfold(1, height, 1).unfold(2, width, 1)


def _augmented(cut, rows, network):
    """Return some of the images, each moved and mirrored at random."""
    down, right = torch.randint(cut.shape[1], (2, len(rows)))
    images = cut[rows, down, right]
    if network.flip:
        mirrored = torch.rand(len(rows), 1, 1) < 0.5
        images = torch.where(mirrored, images.flip(2), images)
    return images


# --- questions ----------------------------------------------------------


def ask(weights: dict, size: int, test, timed: Callable) -> dict[str, tuple]:
    """Ask a trained `cnn` in the ways that PyTorch has.

    Args:
        weights: Its weights in Keras, by their paths.
        size: How many images are asked for at once.
        test: Images, uint8 `(n, height, width, 1)`, and their labels.
        timed: Function `(answer, size, test)` that asks and measures, where
            `answer` is one of NumPy arrays, from images to probabilities.

    Returns:
        What `timed` has returned, by the names of the ways.
    """
    body = cnn()
    load_weights(body, weights)
    model = nn.Sequential(OrderedDict(body=body, softmax=nn.Softmax(1))).eval()
    example = torch.from_numpy(test[0][:size, ..., 0])
    found = {}

    def attempt(way, call, threads):
        torch.set_num_threads(threads)
        measured = timed(
            lambda images: call(torch.from_numpy(images[..., 0])).numpy(),
            *(size, test),
        )
        found[f"{way}, threads: {threads}"] = measured
        return measured.wall, threads

    with torch.inference_mode():
        traced = torch.jit.trace(model, example)
        counts = {1, torch.get_num_threads()}
        attempts = [
            attempt(way, call, threads)
            for way, call in (
                ("traced", torch.jit.freeze(traced)),
                ("optimized", torch.jit.optimize_for_inference(traced)),
            )
            for threads in counts
        ]
        if shutil.which("g++") or shutil.which("clang++"):
            # Half a minute for one number of threads, the one that suits best.
            _, threads = min(attempts)
            attempt("compiled", torch.compile(model), threads)
    return found


def load_weights(model, weights: dict) -> None:
    """Take over the weights of a Keras model with the same names of layers.

    Args:
        model: Some layers, one after another.
        weights: Array of each path, such as `"conv1/kernel"`.
    """
    names = {
        "kernel": "weight",
        "bias": "bias",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    state = model.state_dict()
    for path, array in weights.items():
        layer, name = path.split("/")
        if name == "kernel":  # inputs and outputs come first in PyTorch
            last = array.ndim - 1
            array = array.transpose(last, last - 1, *range(last - 1))
        array = torch.from_numpy(np.ascontiguousarray(array))
        state[f"{layer}.{names[name]}"].copy_(array)
