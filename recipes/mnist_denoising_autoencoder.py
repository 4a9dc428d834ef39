"""An autoencoder that takes noise away, on MNIST.

    python -m recipes.mnist_denoising_autoencoder

Gaussian noise of standard deviation 0.5 buries the digits: a peak
signal-to-noise ratio (PSNR) of 9.4 dB. The network sees it and is asked for the
clean image. Expect 19 dB after one or two minutes on two CPU cores.

The noise is a layer of the model that acts in training only, so what is
exported takes pictures as they are, noisy or clean. The test images get theirs
from a fixed seed.

Reference: Vincent et al. 2008.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, command
from recipes.lab.flags import Amount, BatchSize, Count, Epochs, Rate, RunOptions
from recipes.lab.metrics import PSNR

DATASET = "mnist"
TARGETS = (Target(PSNR, 18.5),)
NOISE_SEED = 1  # of the validation images' noise, the same for every run


@dataclass(frozen=True)
class Config:
    """What there is to choose."""

    noise: Amount = 0.5
    """Standard deviation of the noise; 1 is the range of a pixel."""
    latent_dim: Count = 32
    """Length of the code."""
    epochs: Epochs = 40
    batch_size: BatchSize = 512
    learning_rate: Rate = 0.01
    """Muon's, at its peak after a tenth of the steps."""
    run: RunOptions = RunOptions()


def train(config: Config) -> dict[str, float]:
    """Train, score, export and report; return the metrics."""
    import keras

    from recipes.lab import runs, tasks, training
    from recipes.lab.data.splits import Split, in_unit_range

    with runs.open_run(config, DATASET) as run:
        data, steps = run.data, training.steps(run)

        with run.scope():
            model = training.create_model(
                data,
                "deep_autoencoder",
                latent_dim=config.latent_dim,
                noise=config.noise,
            )
            model.compile(
                optimizer=keras.optimizers.Muon(
                    training.one_cycle(config.learning_rate, steps, warmup=0.1)
                ),
                loss="mse",
            )

        # The layer of noise rests in validation, so the images bring their own.
        images = data.validation.inputs
        noisy = tasks.add_noise(images, config.noise, NOISE_SEED)
        history = training.fit(
            run,
            model,
            data.train.to_reconstruct(),
            validation=Split(noisy, in_unit_range(images)),
        )

        task = tasks.Denoising(data, config.noise)
        scores = task.score(model, data.test)
        return run.finish(task, model, scores, history)


main = command(train, Config, TARGETS)

if __name__ == "__main__":
    sys.exit(main())
