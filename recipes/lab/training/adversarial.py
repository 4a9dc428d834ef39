"""Two networks that learn from each other: a generator and a discriminator."""

import keras
import tensorflow as tf


class Adversarial(keras.Model):
    """A generator and its discriminator, for `training.fit`.

    Each step has two turns. The discriminator learns to tell the real pictures
    of a batch from as many drawn ones; then the generator learns to draw what
    the discriminator, as it is now, takes for real. Each has an optimizer of
    its own. The losses are the cross-entropies of Goodfellow et al. 2014, with
    the generator's that does not saturate: -log D(G(z)).

    The pictures are the targets of a split, see `Split.to_reconstruct`. In
    validation nobody learns: there the losses show whether the discriminator
    knows pictures that it has not seen.

    If the generator's optimizer keeps an average of the weights (`use_ema`),
    the generator has them at the end of the training.

    Args:
        generator: A model from codes `(batch, latent_dim)` to pictures.
        discriminator: A model from pictures to the log-odds, `(batch, 1)`, that
            they are real.
    """

    def __init__(self, generator, discriminator):
        super().__init__(name="adversarial")
        self.generator = generator
        self.discriminator = discriminator
        self.seed_generator = keras.random.SeedGenerator()
        self.generator_loss = keras.metrics.Mean("generator_loss")
        self.discriminator_loss = keras.metrics.Mean("discriminator_loss")
        self.built = True

    def compile(self, generator_optimizer, discriminator_optimizer):
        """Give each of the two its optimizer.

        Args:
            generator_optimizer: A Keras optimizer.
            discriminator_optimizer: Another one.
        """
        super().compile(optimizer=None)
        self.generator_optimizer = self._prepared(
            generator_optimizer, self.generator
        )
        self.discriminator_optimizer = self._prepared(
            discriminator_optimizer, self.discriminator
        )

    def _prepared(self, optimizer, player):
        # As Keras does for a model's one optimizer.
        if self.dtype_policy.name == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(player.trainable_variables)
        return optimizer

    @property
    def metrics(self):
        # Keras shows these, and only these, so a `loss` that nobody updates is
        # not among them.
        return [self.discriminator_loss, self.generator_loss]

    def fit(self, *arguments, **options):
        history = super().fit(*arguments, **options)
        self.generator_optimizer.finalize_variable_values(
            self.generator.trainable_variables
        )
        return history

    def train_step(self, data):
        _, pictures = data
        self._descend(
            lambda: self._loss_of_discriminator(pictures, training=True),
            *(self.discriminator, self.discriminator_optimizer),
        )
        self._descend(
            lambda: self._loss_of_generator(pictures, training=True),
            *(self.generator, self.generator_optimizer),
        )
        return self.get_metrics_result()

    def test_step(self, data):
        _, pictures = data
        self._loss_of_discriminator(pictures, training=False)
        self._loss_of_generator(pictures, training=False)
        return self.get_metrics_result()

    def _loss_of_discriminator(self, pictures, training):
        drawn = self._draw_like(pictures, training)
        on_pictures = self.discriminator(pictures, training=training)
        on_drawn = self.discriminator(drawn, training=training)
        losses = cross_entropy(1.0, on_pictures) + cross_entropy(0.0, on_drawn)
        self.discriminator_loss.update_state(losses)
        return tf.reduce_mean(losses)

    def _loss_of_generator(self, pictures, training):
        drawn = self._draw_like(pictures, training)
        on_drawn = self.discriminator(drawn, training=training)
        losses = cross_entropy(1.0, on_drawn)
        self.generator_loss.update_state(losses)
        return tf.reduce_mean(losses)

    def _draw_like(self, pictures, training):
        """Draw as many pictures as there are of the others."""
        count = keras.ops.shape(pictures)[0]
        shape = (count, *self.generator.input_shape[1:])
        codes = keras.random.normal(shape, seed=self.seed_generator)
        return self.generator(codes, training=training)

    def _descend(self, loss, player, optimizer):
        # The gradients of all replicas are summed: each brings its share of
        # the whole batch's mean.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        variables = player.trainable_variables
        with tf.GradientTape() as tape:
            scaled = optimizer.scale_loss(loss() / replicas)
        optimizer.apply(tape.gradient(scaled, variables), variables)


def cross_entropy(real: float, log_odds):
    """Return what it costs to say of pictures that they are real.

    Args:
        real: 1 if they are, 0 if they are not.
        log_odds: What the discriminator says, `(batch, 1)`.

    Returns:
        Cross-entropies in nats, `(batch, 1)`.
    """
    truth = real * tf.ones_like(log_odds)
    return tf.nn.sigmoid_cross_entropy_with_logits(truth, log_odds)
