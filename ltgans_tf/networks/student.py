"""The Student: a VAE that learns every domain from new images and the Teacher's replay."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from ltgans_tf.networks import losses

tfd = tfp.distributions


class Student(keras.Model):
    """A VAE with q(z|x) = N(mean(x), diag stddev(x)^2), p(z) = N(0, I), p(x|z) = N(x_hat, I/2).

    ```python
    arch = architectures.architecture("small32")
    student = Student(networks.encoder(arch), networks.decoder(arch))
    posterior = student.encode(images)            # a tfd distribution over codes
    reconstructions = student.decode(posterior.mean())
    ```

    Args:
      encoder: images [B, H, W, C] -> (mean, stddev), each [B, code_dim].
      decoder: codes [B, code_dim] -> images [B, H, W, C] in [-1, 1].
    """

    def __init__(self, encoder, decoder, name="student"):
        super().__init__(name=name)
        self.encoder = encoder
        self.decoder = decoder
        self.code_dim = decoder.input_shape[-1]
        self.built = True

    def encode(self, images):
        """Posterior over codes: images [B, H, W, C] in [-1, 1] -> tfd distribution, event [D].

        Raises:
          ValueError: the images are integers.
        """
        if tf.as_dtype(getattr(images, "dtype", "float32")).is_integer:
            raise ValueError(
                f"images are {images.dtype}; give floats in [-1, 1]: images / 127.5 - 1 of uint8."
            )
        mean, stddev = self._moments(images)
        return tfd.MultivariateNormalDiag(loc=mean, scale_diag=stddev)

    def _moments(self, images):
        mean, stddev = self.encoder(images)
        # softplus underflows to 0 below about -100, where the KL would be infinite.
        return mean, stddev + 1e-6

    def prior(self):
        """p(z) = N(0, I) over codes, as a tfd distribution with event [code_dim]."""
        return tfd.MultivariateNormalDiag(loc=tf.zeros([self.code_dim]), scale_diag=tf.ones([self.code_dim]))

    def decode(self, codes):
        """Mean of p(x|z): codes [B, code_dim] -> images [B, H, W, C] in [-1, 1]."""
        return self.decoder(codes)

    def call(self, images):
        """Reconstructions from posterior means: [B, H, W, C] -> [B, H, W, C]."""
        return self.decode(self.encode(images).mean())

    def copy(self, name):
        """Returns a Student with clones of these networks and the same weights."""
        made = Student(keras.models.clone_model(self.encoder), keras.models.clone_model(self.decoder), name)
        made.set_weights(self.get_weights())
        return made

    def elbo_terms(self, images, noise=None):
        """The two terms of Eq. 4 for each image.

        Args:
          images: [B, H, W, C] in [-1, 1].
          noise: standard normal [B, code_dim] for z = mean + stddev * noise (drawn by the caller,
            because TFP's own draws differ between XLA and plain TensorFlow); None decodes the
            posterior mean.

        Returns:
          (sse, kl), each float32 [B]: squared error summed over pixels, and KL in nats.
        """
        mean, stddev, rebuilt = self._pass(images, noise)
        return losses.sum_squared_error(images, rebuilt), losses.kl_to_normal(mean, stddev)

    def _pass(self, images, noise):
        """Returns mean and stddev of the posterior of `images`, and the reconstruction from one code of each."""
        mean, stddev = self._moments(images)
        return mean, stddev, self.decode(mean if noise is None else mean + stddev * noise)

    def update(
        self,
        optimizer,
        images,
        weights,
        noise,
        beta,
        global_rows,
        former=None,
        pull=None,
        compiled=lambda function: function,
    ):
        """Takes one gradient step on Eq. 5: sum over `images` of weight * (SSE + beta * KL).

        With a former Student the loss also has the sum, over the last M images, of pull * (the squared error
        between both reconstructions + KL(posterior of the former || posterior of this one)).

        Args:
          optimizer: built on this Student's trainable variables.
          images: [N, H, W, C], new images and replay in one batch, so in one pass.
          weights: [N], the weight of each image's (SSE + beta * KL).
          noise: standard normal, [N, code_dim].
          beta: weight of the KL term.
          global_rows: rows of a batch over all replicas; the sum is divided by it (Keras'
            optimizers add gradients up over replicas).
          former: a frozen `Student`, which decodes its posterior mean, or None.
          pull: [M], the weights of the last M images' distances to `former`.
          compiled: maps the function that computes the gradients to a compiled one.

        Returns:
          (sse, kl, gradients, loss): two [N], the list of gradients, and the differentiated scalar.
        """
        found = compiled(self._gradients)(images, weights, noise, beta, global_rows, former, pull)
        sse, kl, gradients, loss = found
        losses.descend(optimizer, gradients, self.trainable_variables, loss)
        return sse, kl, gradients, loss

    def _gradients(self, images, weights, noise, beta, global_rows, former, pull):
        if former is not None:
            last = slice(-pull.shape[0], None)
            known_mean, known_stddev, remembered = former._pass(images[last], None)
        with tf.GradientTape() as tape:
            mean, stddev, rebuilt = self._pass(images, noise)
            sse = losses.sum_squared_error(images, rebuilt)
            kl = losses.kl_to_normal(mean, stddev)
            loss = tf.reduce_sum(weights * losses.negative_elbo(sse, kl, beta)) / global_rows
            if former is not None:
                apart = losses.sum_squared_error(remembered, rebuilt[last])
                unit = stddev[
                    last
                ]  # measured in units of the second normal, a KL between normals is one to N(0, I)
                apart += losses.kl_to_normal((known_mean - mean[last]) / unit, known_stddev / unit)
                loss += tf.reduce_sum(pull * apart) / global_rows
        return sse, kl, losses.gradients(tape, loss, self.trainable_variables), loss
