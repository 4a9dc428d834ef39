"""What comes out of a model, one file a kind; a task never trains.

A task takes the data. It scores a model on a split, makes the signatures of its
export, and says what card and report say of it.
"""

from recipes.lab.tasks.classification import Classification
from recipes.lab.tasks.conditional import ConditionalGeneration
from recipes.lab.tasks.copying import (
    Copying,
    addresses_section,
    asked_cross_entropy,
    wrong_bits,
)
from recipes.lab.tasks.counted import CountedGeneration
from recipes.lab.tasks.drawing import Drawing
from recipes.lab.tasks.energy_based import EnergyBasedGeneration, run_chains
from recipes.lab.tasks.generation import Generation, load_judge
from recipes.lab.tasks.inverse_graphics import InverseGraphics
from recipes.lab.tasks.logistic_pca import score_logistic_pca
from recipes.lab.tasks.multi_task import MultiTask, name_of_score
from recipes.lab.tasks.next_letter import NextLetter
from recipes.lab.tasks.reconstruction import (
    Denoising,
    Reconstruction,
    add_noise,
    psnr,
    score_pca,
)
from recipes.lab.tasks.regression import Regression
from recipes.lab.tasks.restoration import Restoration
from recipes.lab.tasks.scores import features_of
from recipes.lab.tasks.steering import Steering, centroid
from recipes.lab.tasks.translation import Translation
from recipes.lab.tasks.variational import VariationalGeneration, binarized

__all__ = [
    "Classification",
    "ConditionalGeneration",
    "Copying",
    "CountedGeneration",
    "Denoising",
    "Drawing",
    "EnergyBasedGeneration",
    "Generation",
    "InverseGraphics",
    "MultiTask",
    "NextLetter",
    "Reconstruction",
    "Regression",
    "Restoration",
    "Steering",
    "Translation",
    "VariationalGeneration",
    "add_noise",
    "addresses_section",
    "asked_cross_entropy",
    "binarized",
    "centroid",
    "features_of",
    "load_judge",
    "name_of_score",
    "psnr",
    "run_chains",
    "score_logistic_pca",
    "score_pca",
    "wrong_bits",
]
