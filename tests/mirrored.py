"""Two replicas on the two logical CPUs that conftest.py sets up."""

import tensorflow as tf

# One for the process: a second one would reuse the keys of the first one's collectives.
MIRRORED = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
