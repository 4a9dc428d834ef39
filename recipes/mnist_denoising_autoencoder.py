"""An autoencoder that takes noise away, on MNIST.

    python -m recipes.mnist_denoising_autoencoder

Gaussian noise of standard deviation 0.5 buries the digits: a peak
signal-to-noise ratio (PSNR) of 9.4 dB. The network sees it and is asked for the
clean image. Expect 19 dB after a minute or two on two CPU cores.

The noise is a layer of the model that acts in training only, so what is
exported takes pictures as they are, noisy or clean. The test images get theirs
from a fixed seed.

Reference: Vincent et al. 2008.
"""

import sys
from dataclasses import dataclass

from recipes.lab.command import Target, run_command
from recipes.lab.flags import Amount, BatchSize, Count, Epochs, Rate, RunOptions

DATASET = "mnist"
TARGETS = (Target("test_psnr", 18.5),)
NOISE_SEED = 0  # of the test images' noise, the same for every run


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

    import zoo
    from recipes.lab.data import sources, splits
    from recipes.lab.export import exporting
    from recipes.lab.report import reports
    from recipes.lab.runs.run import open_run
    from recipes.lab.tasks import scoring
    from recipes.lab.training import fitting, schedules
    from recipes.lab.training.devices import set_up

    devices = set_up(config)
    data = sources.load(DATASET, config.run)
    steps = config.epochs * splits.steps_per_epoch(
        data.train, config.batch_size
    )

    with open_run(config, data, devices) as run:
        with devices.scope():
            model = zoo.create_model(
                "deep_autoencoder",
                latent_dim=config.latent_dim,
                noise=config.noise,
            )
            model.compile(
                optimizer=keras.optimizers.Muon(
                    schedules.one_cycle(config.learning_rate, steps, warmup=0.1)
                ),
                loss="mse",
            )

        # The layer of noise rests in validation, so the images bring their own.
        clean = data.validation.to_reconstruct().targets()
        noisy = scoring.add_noise(
            data.validation.images, config.noise, NOISE_SEED + 1
        )
        history = fitting.fit(
            run,
            model,
            data.train.to_reconstruct(),
            batch_size=config.batch_size,
            epochs=config.epochs,
            validation=splits.Split(noisy, clean),
        )

        clean = data.test.to_reconstruct().targets()
        noisy = scoring.add_noise(data.test.images, config.noise, NOISE_SEED)
        metrics, pictures = scoring.score_autoencoder(model, data.test, noisy)
        metrics["noisy_test_psnr"] = scoring.psnr(noisy / 255, clean)
        metrics |= fitting.train_seconds(history)

        export = exporting.export_autoencoder(run, model, metrics)
        reports.report_autoencoder(
            *(run, model, history, metrics, pictures), pixels=noisy
        )
        return run.finish(model, metrics, export)


def main(argv=None) -> int:
    """Run the recipe from the command line."""
    return run_command(train, Config, TARGETS, argv)


if __name__ == "__main__":
    sys.exit(main())
