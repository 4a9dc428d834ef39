"""Learning rates that change while a model trains."""

import keras


def one_cycle(peak: float, steps: int, *, warmup: float):
    """Return a learning rate that rises to its peak and falls to zero.

    It starts at a tenth of the peak, rises on a line and falls on a cosine.

    Args:
        peak: The highest learning rate.
        steps: Number of steps of the whole training.
        warmup: Share of the steps that it rises for.

    Returns:
        A Keras learning rate schedule.
    """
    rising = int(warmup * steps)
    return keras.optimizers.schedules.CosineDecay(
        peak / 10,
        warmup_target=peak,
        warmup_steps=rising,
        decay_steps=steps - rising,
    )


class Later(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins at a later step than the first.

    A run that continues another one has taken steps before.

    Args:
        schedule: The schedule.
        start: The step that it begins at.
    """

    def __init__(self, schedule, start: int):
        self.schedule, self.start = schedule, start

    def __call__(self, step):
        return self.schedule(step - self.start)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "start": self.start}
