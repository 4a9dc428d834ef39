"""Several workers on this machine: how they start, fail and end."""

import json

import zoo
from helpers.commands import ROOT, run_python

LAUNCHER = ROOT / "scripts" / "launch_workers.py"


def tf_config(cluster, kind="worker", index=0):
    return json.dumps(
        {"cluster": cluster, "task": {"type": kind, "index": index}}
    )


def launch(*command, workers=2, **options):
    return run_python(
        *(LAUNCHER, "--workers", workers, "--", *command),
        **options,
    )


# FAULT is "<worker> <batch> <signal>": there and then, send it to oneself.
DRIVER = """
import importlib, json, os, signal, sys

worker, batch, name = os.environ.get("FAULT", "-1 0 SIGKILL").split()
task = json.loads(os.environ["TF_CONFIG"])["task"]

from recipes.lab import command
from recipes.lab.data import sample
from recipes.lab.training import workers

sample.PASSES = 1  # short epochs are enough to be lost in
workers.START_SECONDS = float(os.environ.get("START", 60))
quietly = command._import_tensorflow_quietly
seen = 0

def import_with_fault():
    quietly()
    import keras
    from tensorflow.python.data.ops import multi_device_iterator_ops

    # Nothing uses the iterator whose tuner sleeps on when it is deleted.
    multi_device_iterator_ops.OwnedMultiDeviceIterator = None

    real = keras.callbacks.CallbackList.on_train_batch_end

    def with_fault(*arguments, **options):
        global seen
        real(*arguments, **options)
        seen += 1
        if (task["index"], seen) == (int(worker), int(batch)):
            os.kill(os.getpid(), getattr(signal, name))

    keras.callbacks.CallbackList.on_train_batch_end = with_fault

command._import_tensorflow_quietly = import_with_fault

recipe = importlib.import_module("recipes." + sys.argv[1])
sys.exit(recipe.main([*sys.argv[2:], "--offline"]))
"""


def weights(folder, recipe):
    [export] = folder.glob(f"saved_models/{recipe}-sample/*")
    return zoo.load_model(export, verbose=False).get_weights()


def metrics(folder, recipe):
    path = folder / "runs" / f"{recipe}-sample" / "1" / "metrics.json"
    found = json.loads(path.read_text())["metrics"]
    return {k: v for k, v in found.items() if not k.startswith("train_")}
