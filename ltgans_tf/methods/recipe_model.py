"""RecipeModel: the base of methods that are built from a named architecture and a `presets.Recipe`."""

import dataclasses

from ltgans_tf.methods import own_code
from ltgans_tf.methods.lifelong import LifelongModel
from ltgans_tf.settings import architectures, presets
from ltgans_tf.settings.method_table import SETTINGS


class RecipeModel(LifelongModel):
    """A `LifelongModel` that can be rebuilt from a workdir; a method defines `build`.

    Attributes:
      recipe: its `presets.Recipe`.
      settings: the method's own settings, an instance of its class in `method_table.SETTINGS`, set by `build`; None if
        the method has no class there.
    """

    # Fields of the recipe that the method fixes; they override the given recipe.
    fixed = {}
    recipe = settings = _built_from = None

    @classmethod
    def build(cls, arch, channels, student, recipe, seed, settings):
        """Builds the model; arguments as for `from_architecture`, with names already replaced by their objects."""
        raise NotImplementedError(f"{cls.__name__} must define build().")

    @classmethod
    def from_architecture(
        cls, architecture, channels=3, student=True, recipe="recommended", seed=0, settings=None
    ):
        """Builds all networks of a named architecture.

        Args:
          architecture: a name of `architectures.ARCHITECTURES`, or an `Architecture` of your own.
          channels: 1 or 3.
          student: whether a Student is trained in the same steps; LGM and CURL are Students themselves.
          recipe: a name of `presets.RECIPES` or a `presets.Recipe`.
          seed: seed of weights and noise; each network gets its own weights.
          settings: the method's own settings, such as an `LGMSettings`; None for its defaults.

        Raises:
          ValueError: an unknown name (the message has the nearest ones); other channels; settings for a method that has
            none; or a recipe that needs something that the method lacks.
        """
        method = cls._base_method()
        if settings is not None and method not in SETTINGS:
            raise ValueError(
                f"settings is {settings!r}, and {cls.__name__} has none beside its recipe; leave it out."
            )
        if channels not in (1, 3):
            raise ValueError(f"channels is {channels!r}; it must be 1 (grey) or 3 (RGB).")
        arch = architectures.architecture(architecture)
        if isinstance(recipe, str):
            recipe = presets.recipe(recipe, arch.name, method)
        presets.check_method(recipe, method)
        recipe = dataclasses.replace(recipe, **cls.fixed)
        if settings is None and method in SETTINGS:
            settings = SETTINGS[method]()
        model = cls.build(arch, channels, student, recipe, seed, settings)
        model._built_from = {
            "architecture": dataclasses.asdict(arch),
            "channels": channels,
            "student": student,
            "seed": seed,
        }
        return model

    @classmethod
    def from_builder(cls, builder):
        """Builds a model from networks of your own, so that a workdir can build it again.

        ```python
        # my_networks.py
        def make():
            return lt.TwinGAN([generator(0), generator(1)], critic(), lt.Student(encoder(), decoder()))

        # in the program that trains, and in any other
        model = lt.TwinGAN.from_builder("my_networks:make")
        model = lt.load("runs/mine", method="my_networks:make")
        ```

        Args:
          builder: 'module:function', or the function itself, in a module on Python's path. It takes no arguments and
            returns a new model of the same networks and recipe each time.

        Raises:
          ValueError: there is no such function, or it returned something else.
        """
        name, function = builder, builder
        if callable(builder):
            name = f"{builder.__module__}:{builder.__qualname__}"
        else:
            function = own_code.find(builder)
        is_function = callable(function) and not isinstance(function, type)
        model = function() if is_function else None
        if not isinstance(model, cls):
            raise ValueError(
                f"the builder is {name!r}, which {f'returned {model!r}' if is_function else 'is no function'}; name a"
                f" function without arguments that returns a {cls.__name__}."
            )
        model.method, model._built_from = name, {"seed": model.seed}
        return model

    @classmethod
    def _base_method(cls):
        """The registered method whose recipe a class has: its own or, for a class outside the package, its parent's."""
        return next(
            (base.method for base in cls.__mro__ if ":" not in (vars(base).get("method") or ":")), None
        )

    def get_settings(self):
        if self._built_from is None:
            name = type(self).__name__
            raise ValueError(
                f"this {name} was made from networks of your own, which a workdir cannot rebuild; have a function in"
                f" a file of its own make it, {name}.from_builder('my_networks:make'), or train without workdir."
            )
        own_code.check_lasting(self.method)
        own = {} if self.settings is None else {self._base_method(): dataclasses.asdict(self.settings)}
        return {
            "method": self.method,
            **self._built_from,
            "recipe": dataclasses.asdict(self.recipe),
            **own,
        }

    @classmethod
    def from_settings(cls, settings):
        """Builds the compiled model that `get_settings` described, with fresh weights."""
        method = cls._base_method()
        own = SETTINGS[method](**settings[method]) if method in SETTINGS else None
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
