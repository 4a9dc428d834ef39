"""Models of an introductory deep-learning course, as Keras 3 builders.

>>> import zoo
>>> zoo.list_models()
>>> model = zoo.create_model("lenet5", num_classes=10)
>>> trained = zoo.load_model("mnist_cnn")

Every image model takes raw pixels, 0 to 255: do not divide by 255.
"""

import os
import sys


def _is_command() -> bool:
    """Say whether Python is on its way to `zoo/__main__.py`.

    That imports the rest where it needs it: to import Keras takes seconds.
    """
    options = sys.orig_argv
    if "--multiprocessing-fork" in options:  # it has the arguments of another
        main = os.path.join(os.path.dirname(__file__), "__main__.py")
        return sys.argv[:1] == [main]
    if sys.argv[:1] != ["-m"] or "-m" not in options:
        return False
    return options[options.index("-m") + 1] == "zoo"


if not _is_command():
    import zoo._keras  # noqa: F401  # imports Keras, before all that need it
    from zoo._chart import Cell as Cell
    from zoo._chart import ChartNetwork as ChartNetwork
    from zoo._counting import count_multiplications as count_multiplications
    from zoo._digits import prepare_digit as prepare_digit
    from zoo._loading import load_model as load_model
    from zoo._predictor import load_predictor as load_predictor
    from zoo._registry import create_model as create_model
    from zoo._registry import list_models as list_models
    from zoo._registry import model_info as model_info
    from zoo._registry import register_model as register_model
    from zoo._surgery import classifier_head as classifier_head
    from zoo._surgery import feature_extractor as feature_extractor
    from zoo._surgery import replace_head as replace_head
    from zoo._surgery import without_preprocessing as without_preprocessing

    # The families register themselves in this order, the order of teaching.
    # isort: off
    from zoo.neurons import mcculloch_pitts as mcculloch_pitts
    from zoo.neurons import perceptron as perceptron
    from zoo.neurons import linear_neuron as linear_neuron
    from zoo.neurons import logistic_neuron as logistic_neuron
    from zoo.neurons import ann as ann
    from zoo.neurons import table_mlp as table_mlp
    from zoo.linear import softmax_regression as softmax_regression
    from zoo.perceptrons import mlp as mlp
    from zoo.perceptrons import jump_mlp as jump_mlp
    from zoo.perceptrons import residual_mlp as residual_mlp
    from zoo.random_features import elm as elm
    from zoo.kernels import radial_basis as radial_basis
    from zoo.kernels import svm as svm
    from zoo.self_organizing import kohonen as kohonen
    from zoo.associative import hopfield as hopfield
    from zoo.lenet import lenet5 as lenet5
    from zoo.convolutional import conv1d as conv1d
    from zoo.convolutional import lecture_cnn as lecture_cnn
    from zoo.convolutional import cnn as cnn
    from zoo.convolutional import deep_cnn as deep_cnn
    from zoo.multicolumn import mcdnn as mcdnn
    from zoo.imagenet import alexnet as alexnet
    from zoo.imagenet import vgg as vgg
    from zoo.imagenet import googlenet as googlenet
    from zoo.imagenet import resnet as resnet
    from zoo.retinas import face_pose as face_pose
    from zoo.retinas import alvinn as alvinn
    from zoo.physics import ising_phases as ising_phases
    from zoo.hydra import hydranet as hydranet
    from zoo.hydra import multi_task_cnn as multi_task_cnn
    from zoo.sequences import heart_failure as heart_failure
    from zoo.sequences import entity_template as entity_template
    from zoo.sequences import sentiment as sentiment
    from zoo.genomics import deepcpg as deepcpg
    from zoo.transfer import transfer_classifier as transfer_classifier
    from zoo.autoencoders import autoencoder as autoencoder
    from zoo.autoencoders import deep_autoencoder as deep_autoencoder
    from zoo.autoencoders import (
        convolutional_autoencoder as convolutional_autoencoder,
    )
    from zoo.boltzmann import boltzmann_machine as boltzmann_machine
    from zoo.restricted_boltzmann import rbm as rbm
    from zoo.restricted_boltzmann import dbn as dbn
    from zoo.generators import vae as vae
    from zoo.gans import gan as gan
    from zoo.gans import dcgan as dcgan
    from zoo.gans import conditional_gan as conditional_gan
    from zoo.deblurring import deblurring_gan as deblurring_gan
    from zoo.graphics import deconvolution as deconvolution
    from zoo.graphics import dcign as dcign
    from zoo.recurrent import simple_rnn as simple_rnn
    from zoo.recurrent import irnn as irnn
    from zoo.recurrent import lstm as lstm
    from zoo.recurrent import gru as gru
    from zoo.linear_recurrences import lru as lru
    from zoo.reservoirs import echo_state as echo_state
    from zoo.reservoirs import echo_state_regressor as echo_state_regressor
    from zoo.spiking import liquid_state as liquid_state
    from zoo.neural_turing import (
        neural_turing_machine as neural_turing_machine,
    )
    from zoo.regressors import sequence_regressor as sequence_regressor
    from zoo.encoder_decoders import seq2seq as seq2seq
    from zoo.encoder_decoders import captioner as captioner
    from zoo.encoder_decoders import generate_text as generate_text
    from zoo.encoder_decoders import teacher_forced as teacher_forced
    from zoo.chains import markov_chain as markov_chain
    # isort: on

__version__ = "0.1.0"
