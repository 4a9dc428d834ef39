"""How a model is trained: `fit` resumes what was cut off, on any devices."""

from recipes.lab.training import closed_form
from recipes.lab.training.adversarial import Adversarial, ConditionalAdversarial
from recipes.lab.training.backbones import create_transfer_model
from recipes.lab.training.building import create_model
from recipes.lab.training.devices import check_one_device
from recipes.lab.training.energy import EnergyAutoencoder
from recipes.lab.training.fitting import fit, seed_repeat, steps
from recipes.lab.training.gradients import (
    NOTHING,
    gradient_lengths,
    gradients_over_time,
    layers_with_kernel,
)
from recipes.lab.training.measuring import once
from recipes.lab.training.progress import Progress
from recipes.lab.training.restoring import AdversarialRestoration
from recipes.lab.training.schedules import one_cycle
from recipes.lab.training.second_order import minimize

__all__ = [
    "NOTHING",
    "Adversarial",
    "AdversarialRestoration",
    "ConditionalAdversarial",
    "EnergyAutoencoder",
    "Progress",
    "check_one_device",
    "closed_form",
    "create_model",
    "create_transfer_model",
    "fit",
    "gradient_lengths",
    "gradients_over_time",
    "layers_with_kernel",
    "minimize",
    "once",
    "one_cycle",
    "seed_repeat",
    "steps",
]
