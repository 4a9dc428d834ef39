"""Lectures: AlexNet, VGG, GoogLeNet and ResNet, how deep and how large.

No weight is allocated: only the shapes are counted. The other published sizes
are counted in `tests/zoo/test_imagenet.py`.
"""

import pytest
from helpers.builders import build_for_shapes, count
from helpers.facts import Facts

import zoo
from zoo import imagenet

fact = Facts()


def of_imagenet(name, arguments):
    return build_for_shapes(zoo.model_info(name).builder, **arguments)


@fact(
    *("A47", 4, "Practice (ILSVRC winners): deeper from 2012 to 2015"),
    marks=pytest.mark.thorough,
)
def winners_are_deeper_each_time():
    depths = {}
    for name, arguments in {
        "alexnet": imagenet.ALEXNET,
        "vgg": imagenet.VGG16,
        "googlenet": imagenet.GOOGLENET,
        "resnet": imagenet.RESNET152,
    }.items():
        depths[name] = longest_path(of_imagenet(name, arguments))
    assert depths == {"alexnet": 8, "vgg": 16, "googlenet": 22, "resnet": 152}


def longest_path(model):
    """Count the layers with kernels on the longest way through a network.

    A shortcut's convolution is on no such way.
    """
    depths = {}
    for layer in model.layers:
        for node in layer._inbound_nodes[:1]:
            before = [
                depths[tensor._keras_history.operation.name]
                for tensor in node.input_tensors
            ]
            own = int(any(w.name == "kernel" for w in layer.weights))
            depths[layer.name] = max(before, default=0) + own
    return depths[model.layers[-1].name]


@fact("A47", 0, "Pre-trained networks can be big: many parameters")
def networks_have_up_to_138_million_parameters():
    vgg = of_imagenet("vgg", imagenet.VGG16)
    assert count(vgg.weights) == 138_357_544
    resnet = of_imagenet("resnet", imagenet.RESNET50 | {"use_bias": True})
    assert count(resnet.weights) == 25_636_712


test_lecture = fact.test()
