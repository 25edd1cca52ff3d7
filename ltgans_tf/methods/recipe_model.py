"""RecipeModel: what methods share that are built from a named architecture and a `presets.Recipe`."""

import dataclasses

from ltgans_tf.methods.lifelong import LifelongModel
from ltgans_tf.settings import architectures, method_settings, presets


class RecipeModel(LifelongModel):
    """A `LifelongModel` that a workdir can build again. A method writes `build`.

    Attributes:
      recipe: its `presets.Recipe`.
      settings: what the method has beside it, an instance of its class in `method_settings.SETTINGS`; None
        where it has none there.
    """

    # Fields of the recipe that belong to the method, whatever the recipe given says.
    fixed = {}
    # Under which name `method_settings.SETTINGS` has a class for the method.
    settings_name = None
    recipe = settings = _built_from = None

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        """The model itself; arguments as of `from_architecture`, with nothing left to look up."""
        raise NotImplementedError(f"{cls.__name__} must define build().")

    @classmethod
    def from_architecture(
        cls, architecture, channels=3, student=True, recipe="recommended", seed=0, settings=None
    ):
        """Builds all networks of a named architecture.

        Args:
          architecture: a name of `architectures.ARCHITECTURES`, or an `Architecture` of your own.
          channels: 1 or 3.
          student: whether a Student is trained in step; LGM and CURL are one.
          recipe: a name of `presets.RECIPES` or a `presets.Recipe`.
          seed: seed of weights and noise; each network gets its own weights.
          settings: what the method has beside the recipe, an `LGMSettings` for one; None for its defaults.

        Raises:
          ValueError: an unknown name, with the nearest ones; settings for a method that has none; or a recipe that
            asks for what the method does not have.
        """
        if settings is not None and cls.settings_name is None:
            raise ValueError(
                f"settings is {settings!r}, and {cls.__name__} has none beside its recipe; leave it out."
            )
        arch = architectures.architecture(architecture)
        if isinstance(recipe, str):
            recipe = presets.recipe(recipe, arch.name, cls.method)
        presets.check_method(recipe, cls.method)
        recipe = dataclasses.replace(recipe, **cls.fixed)
        if settings is None and cls.settings_name:
            settings = method_settings.SETTINGS[cls.settings_name]()
        model = cls.build(arch, channels, student, recipe, seed, settings)
        model._built_from = {
            "architecture": dataclasses.asdict(arch),
            "channels": channels,
            "student": student,
            "seed": seed,
        }
        return model

    def get_settings(self):
        if self._built_from is None:
            raise ValueError(
                f"this {type(self).__name__} was made from networks of your own, which a workdir cannot"
                f" rebuild; make it with {type(self).__name__}.from_architecture, or train without"
                " workdir."
            )
        own = {self.settings_name: dataclasses.asdict(self.settings)} if self.settings_name else {}
        return {
            "method": self.method,
            **self._built_from,
            "recipe": dataclasses.asdict(self.recipe),
            **own,
        }

    @classmethod
    def from_settings(cls, settings):
        """Builds the compiled model that `get_settings` described, with fresh weights."""
        own = None
        if cls.settings_name:
            own = method_settings.SETTINGS[cls.settings_name](**settings[cls.settings_name])
        model = cls.from_architecture(
            settings["architecture"],
            settings["channels"],
            settings["student"],
            presets.Recipe(**settings["recipe"]),
            settings["seed"],
            own,
        )
        model.compile()
        return model
