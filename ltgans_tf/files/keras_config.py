"""Checks Keras' global settings, which keras.json and KERAS_ variables may change."""


def check():
    """Raises a ValueError if Keras has settings that this package does not work with.

    Raises:
      ValueError: it names the setting, its value and the remedy.
    """
    import keras  # not at the top of the file: with wrong settings the import may fail

    needed = {
        "backend": ("tensorflow", "set the variable KERAS_BACKEND=tensorflow before Keras is imported"),
        "floatx": ("float32", 'call keras.config.set_floatx("float32")'),
        "image_data_format": ("channels_last", 'call keras.config.set_image_data_format("channels_last")'),
        "epsilon": (1e-7, "call keras.config.set_epsilon(1e-7)"),
        "max_epochs": (None, "call keras.config.set_max_epochs(None)"),
        "max_steps_per_epoch": (None, "call keras.config.set_max_steps_per_epoch(None)"),
    }
    for name, (value, remedy) in needed.items():
        if (found := getattr(keras.config, name)()) != value:
            raise ValueError(
                f"Keras has the {name} {found!r}, from keras.json or a KERAS_ variable, and this package needs"
                f" {value!r}; {remedy}."
            )
    if (policy := keras.config.dtype_policy().name) != "float32":
        raise ValueError(
            f"Keras has the dtype policy {policy!r} and this package needs 'float32' (the recipe's `precision`"
            ' sets the policy of the layers); call keras.config.set_dtype_policy("float32").'
        )
