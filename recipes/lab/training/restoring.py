"""A generator that restores pictures, and a discriminator that saw them too."""

import keras
import tensorflow as tf

from recipes.lab.training.adversarial import Adversarial, cross_entropy


class AdversarialRestoration(Adversarial):
    """A generator of pictures from degraded ones, for `training.fit`.

    To the loss of the game it adds how far the generator's pictures are from
    the true ones. That alone would be least for the middle of all pictures that
    may be behind a blurred one, which is blurred itself; the discriminator
    tells such a middle from a picture. It sees the degraded picture beside the
    other, so a sharp picture of something else does not pass.

    Args:
        generator: A model from degraded pictures to pictures, both in [0, 1].
        discriminator: A model from degraded pictures and others, in a list, to
            the log-odds that the latter are real.
        pixel_weight: What the absolute error of a pixel is multiplied by.

    Reference: Isola et al. 2017.
    """

    def __init__(self, generator, discriminator, pixel_weight):
        super().__init__(generator, discriminator)
        self.pixel_weight = pixel_weight
        self.pixel_loss = keras.metrics.Mean("pixel_loss")

    @property
    def metrics(self):
        return [*super().metrics, self.pixel_loss]

    def _draw_like(self, inputs, training):
        return self.generator(inputs, training=training)

    def _judge(self, pictures, inputs, training):
        return self.discriminator([inputs, pictures], training=training)

    def _loss_of_generator(self, inputs, pictures, training):
        drawn = self._draw_like(inputs, training)
        losses = cross_entropy(1.0, self._judge(drawn, inputs, training))
        errors = tf.abs(drawn - pictures)
        self.generator_loss.update_state(losses)
        self.pixel_loss.update_state(errors)
        return tf.reduce_mean(losses) + self.pixel_weight * tf.reduce_mean(
            errors
        )
