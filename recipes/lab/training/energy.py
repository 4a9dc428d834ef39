"""An autoencoder whose codes are inferred, and then learned from."""

import keras
import tensorflow as tf


class EnergyAutoencoder(keras.Model):
    """An encoder g and a decoder h that meet at codes, for `training.fit`.

    The energy of an image X and a code Z is

        agreement * |Z - g(X)|^2 + |X - h(Z)|^2,

    sums over the code and over the pixels. Each step has two turns. First the
    codes of a batch are inferred: from what the encoder says they go downhill,
    with the weights as they are. Then the weights take a step with the codes as
    they are: the decoder learns to draw from them, and the encoder to say them.
    The more agreement counts, the nearer the codes are to g(X); in the limit
    the gradient of the weights is that of a plain autoencoder.

    The images are the targets of a split, see `Split.to_reconstruct`.

    Args:
        autoencoder: A model with the sub-models `encoder` and `decoder`.
        agreement: What the distance between a code and the encoder's is worth.
        inference_steps: How many steps downhill are tried for each code.
    """

    def __init__(self, autoencoder, agreement=1.0, inference_steps=5):
        super().__init__(name="energy_autoencoder")
        self.encoder = autoencoder.get_layer("encoder")
        self.decoder = autoencoder.get_layer("decoder")
        self.agreement = agreement
        self.inference_steps = inference_steps
        self.mean_energy = keras.metrics.Mean("loss")
        self.error = keras.metrics.MeanSquaredError("mse")
        self.built = True

    def compile(self, optimizer):
        """Give the weights their optimizer.

        Args:
            optimizer: A Keras optimizer.
        """
        super().compile(optimizer=optimizer)
        self.loss = self.energies  # what a run says that it minimizes

    @property
    def metrics(self):
        return [self.mean_energy, self.error]

    def energies(self, pixels, encoded, codes):
        """Return the energy of each image and its code, `(batch,)`.

        Args:
            pixels: Images in [0, 1].
            encoded: What the encoder says of them, `(batch, latent_dim)`.
            codes: Codes, likewise.
        """
        errors = tf.square(pixels - tf.cast(self.decoder(codes), pixels.dtype))
        apart = tf.square(codes - encoded)
        return tf.reduce_sum(errors, [1, 2, 3]) + self.agreement * (
            tf.reduce_sum(apart, axis=1)
        )

    def infer(self, pixels, encoded, codes=None):
        """Return codes of less energy, `(batch, latent_dim)`.

        A step that would raise the energy of an image is not taken, and its
        next one is half as long: so no energy rises.

        Args:
            pixels: Images in [0, 1].
            encoded: What the encoder says of them.
            codes: Where to start; None for what the encoder says.
        """
        codes = encoded if codes is None else codes
        rates = tf.ones_like(codes[:, :1]) / (2 * (self.agreement + 1))
        energies, slopes = self._energies_and_slopes(pixels, encoded, codes)
        for _ in range(self.inference_steps):
            tried = codes - rates * slopes
            found = self._energies_and_slopes(pixels, encoded, tried)
            falls = found[0] < energies
            energies = tf.where(falls, found[0], energies)
            falls = falls[:, tf.newaxis]
            codes = tf.where(falls, tried, codes)
            slopes = tf.where(falls, found[1], slopes)
            rates = tf.where(falls, rates, rates / 2)
        return codes

    def _energies_and_slopes(self, pixels, encoded, codes):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(codes)
            energies = self.energies(pixels, encoded, codes)
        return energies, tape.gradient(energies, codes)

    def train_step(self, data):
        _, pixels = data
        codes = self.infer(pixels, self.encode(pixels))
        # The gradients of all replicas are summed: each brings its share of
        # the whole batch's mean.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            encoded = self.encode(pixels)
            energies = self.energies(pixels, encoded, codes)
            loss = tf.reduce_mean(energies) / replicas
            loss = self.optimizer.scale_loss(loss)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return self._watch(pixels, encoded, energies)

    def test_step(self, data):
        _, pixels = data
        encoded = self.encode(pixels)
        codes = self.infer(pixels, encoded)
        energies = self.energies(pixels, encoded, codes)
        return self._watch(pixels, encoded, energies)

    def encode(self, pixels):
        """Return what the encoder says of images in [0, 1]."""
        return tf.cast(self.encoder(pixels), pixels.dtype)

    def _watch(self, pixels, encoded, energies):
        self.mean_energy.update_state(energies)
        self.error.update_state(pixels, self.decoder(encoded))
        return self.get_metrics_result()
