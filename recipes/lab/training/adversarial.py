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
        penalty: Weight of half the squared slope of the log-odds at the real
            pictures (R1 of Mescheder et al. 2018): it keeps the discriminator
            from being so sure that the generator has nothing to learn from.

    Raises:
        ValueError: If there is a penalty on what normalizes over the batch:
            there each answer has a slope at all pictures.
    """

    def __init__(self, generator, discriminator, penalty=0.0):
        super().__init__(name="adversarial")
        layers = discriminator._flatten_layers()
        if penalty and any(map(_normalizes_batch, layers)):
            raise ValueError(
                f"{discriminator.name} normalizes over the batch, so its slope "
                f"cannot be penalized. Received: penalty={penalty}"
            )
        self.penalty = penalty
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
        self._descend(
            lambda: self._loss_of_discriminator(*data, training=True),
            *(self.discriminator, self.discriminator_optimizer),
        )
        self._descend(
            lambda: self._loss_of_generator(*data, training=True),
            *(self.generator, self.generator_optimizer),
        )
        return self.get_metrics_result()

    def test_step(self, data):
        self._loss_of_discriminator(*data, training=False)
        self._loss_of_generator(*data, training=False)
        return self.get_metrics_result()

    def _loss_of_discriminator(self, inputs, pictures, training):
        drawn = self._draw_like(inputs, training)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pictures)
            on_pictures = self._judge(pictures, inputs, training)
        on_drawn = self._judge(drawn, inputs, training)
        losses = cross_entropy(1.0, on_pictures) + cross_entropy(0.0, on_drawn)
        self.discriminator_loss.update_state(losses)
        if self.penalty and training:
            slopes = tape.gradient(on_pictures, pictures)
            slopes = tf.reshape(slopes, (tf.shape(slopes)[0], -1))
            squares = tf.reduce_sum(tf.square(slopes), 1, keepdims=True)
            losses += 0.5 * self.penalty * squares
        return tf.reduce_mean(losses)

    def _loss_of_generator(self, inputs, pictures, training):
        drawn = self._draw_like(inputs, training)
        on_drawn = self._judge(drawn, inputs, training)
        losses = cross_entropy(1.0, on_drawn)
        self.generator_loss.update_state(losses)
        return tf.reduce_mean(losses)

    def _draw_like(self, inputs, training):
        """Draw as many pictures as there are inputs of a batch."""
        return self.generator(self._codes_for(inputs), training=training)

    def _codes_for(self, inputs):
        """Draw a code for each input, whatever it is."""
        count = keras.ops.shape(inputs)[0]
        shape = (count, self.generator.input_shape[1])
        return keras.random.normal(shape, seed=self.seed_generator)

    def _judge(self, pictures, inputs, training):
        """Return the log-odds that pictures are real."""
        return self.discriminator(pictures, training=training)

    def _descend(self, loss, player, optimizer):
        # The gradients of all replicas are summed: each brings its share of
        # the whole batch's mean.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        variables = player.trainable_variables
        with tf.GradientTape() as tape:
            scaled = optimizer.scale_loss(loss() / replicas)
        optimizer.apply(tape.gradient(scaled, variables), variables)


class ConditionalAdversarial(Adversarial):
    """A generator that is told what to draw, and its discriminator is, too.

    Real pictures come with their labels, and the drawn ones of a batch are of
    the same labels: these are the inputs of a split, see `Split.to_draw`.

    Args:
        generator: A model from codes to pictures. A code begins with the label,
            a one among zeros.
        discriminator: A model from pictures and labels to the log-odds,
            `(batch, 1)`, that the pictures are real.
        penalty: As of `Adversarial`.
    """

    def _codes_for(self, inputs):
        codes = super()._codes_for(inputs)
        style = codes[:, inputs.shape[1] :]
        return keras.ops.concatenate([inputs, style], axis=1)

    def _judge(self, pictures, inputs, training):
        return self.discriminator([pictures, inputs], training=training)


def _normalizes_batch(layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


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
