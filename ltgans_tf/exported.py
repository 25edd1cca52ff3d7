"""Loads exports, with the methods of the model that they came from.

A SavedModel runs without Keras and without the code of the networks; a `KerasExport` needs Keras.
"""

import os
import shlex
import zipfile

import tensorflow as tf

from ltgans_tf import latest_json
from ltgans_tf.files import jsonfiles, paths
from ltgans_tf.networks import sampling
from ltgans_tf.settings import upgrades

FILES_INFO = "export_info.json"  # describes the export in a folder that `ltgans export` wrote


class ExportedModel:
    """An export of a `LifelongModel`: draws images, encodes and decodes them.

    ```python
    model = exported.load("runs/demo/exports")
    images = model.sample(64, seed=0)               # float32 [64, H, W, C] in [-1, 1]
    cats = model.sample(64, seed=0, domain="cats")
    codes = model.student.encode(images).mean()     # [64, code_dim]
    ```

    Args:
      paths: dict from kind ('generator', 'encoder' or both) to version folder.

    Attributes:
      info: dict, the content of export_info.json.
      image_shape: (height, width, channels).
      fit: how an image of another shape is fitted to `image_shape`, see `images.fit_image`.
      upright: whether the encoder applies the rotation that a camera noted in a file.
      latent_dim: length of the generator's latents.
      latent_law: the `sampling.LatentLaw` of these latents.
      domains: names of the domains learnt, in order.
    """

    def __init__(self, paths):
        self.paths = dict(paths)
        self._describe(_read_info(next(iter(self.paths.values()))))
        loaded = {kind: tf.saved_model.load(path) for kind, path in self.paths.items()}
        self._generator = loaded.get("generator")
        self._student = ExportedStudent(loaded["encoder"], self.image_shape) if "encoder" in loaded else None

    def _describe(self, info):
        self.info = info
        self.image_shape = tuple(self.info["image_shape"])
        self.fit = self.info["fit"]
        self.upright = self.info.get("upright", False)  # exports without this field rotate nothing
        self.latent_dim = self.info["latent_dim"]
        # Exports without domain codes have neither these fields nor a list of domains.
        codes = {name: self.info[name] for name in ("domain_dim", "domain_length") if name in self.info}
        noise_dim = self.latent_dim - codes.get("domain_dim", 0)
        self.latent_law = sampling.LatentLaw(noise_dim, self.info["latent_law"], **codes)
        self.domains = [domain["name"] for domain in self.info.get("domains", [])]

    def sample(self, count, seed=0, domain=None, batch_size=250):
        """Draws images with the exported generator: the same as those of the trained model.

        Arguments, result and errors are those of `LifelongModel.sample`.
        """
        return sampling.in_batches(self.generate, self.latents(count, seed, domain), batch_size)

    def latents(self, count, seed=0, domain=None):
        """Draws the same latents as the trained model, float32 [count, latent_dim]."""
        domains = self.latent_law.domains_of_rows(count, domain, self.domains)
        return self.latent_law.draw(count, seed, domains)

    def generate(self, latents):
        """Images of the exported generator: latents [N, latent_dim] -> [N, H, W, C] in [-1, 1]."""
        if self._generator is None:
            raise ValueError(
                f"{self.paths['encoder']} is an encoder, which draws no images; load the"
                " generator of the same version, or the folder that holds both."
            )
        return self._generator.signatures["serving_default"](latents=tf.cast(latents, tf.float32))["images"]

    @property
    def student(self):
        """The exported Student."""
        if self._student is None:
            raise ValueError(
                f"{self.paths['generator']} has no encoder beside it; load the encoder of"
                " the same version, or export a model that has a Student."
            )
        return self._student


class ExportedStudent:
    """The Student of an export: encodes and decodes images.

    Args:
      encoder: the loaded SavedModel of the kind 'encoder'.
      image_shape: (height, width, channels).
    """

    def __init__(self, encoder, image_shape):
        self._encoder = encoder
        self.image_shape = image_shape

    def encode(self, images):
        """Posterior over codes: images [N, H, W, C] in [-1, 1] -> tfd.MultivariateNormalDiag."""
        import tensorflow_probability as tfp

        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating or tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"images are {images.dtype.name} {images.shape}; they must be float"
                f" {[None, *self.image_shape]} in [-1, 1]."
            )
        codes = self._moments(tf.cast(images, tf.float32))
        return tfp.distributions.MultivariateNormalDiag(loc=codes["mean"], scale_diag=codes["stddev"])

    def _moments(self, images):
        return self._encoder.signatures["encode"](images=images)

    def decode(self, codes):
        """Mean of p(x|z): codes [N, code_dim] -> images [N, H, W, C] in [-1, 1]."""
        return self._encoder.signatures["decode"](codes=tf.cast(codes, tf.float32))["images"]


class KerasExport(ExportedModel):
    """An export that `ltgans export --format=keras` wrote, with the methods of an `ExportedModel`.

    Args:
      path: the folder.

    Raises:
      ValueError: a file is missing or damaged.
    """

    def __init__(self, path):
        self.paths = {"generator": path}
        self._describe(_read_info(path, FILES_INFO))
        self._generator = _network(path, "generator", "from_latents")
        self._student = None
        if self.info.get("code_dim") is not None:
            pair = _network(path, "encoder"), _network(path, "decoder")
            self._student = KerasExportStudent(pair, self.image_shape)

    def generate(self, latents):
        """Images of the exported generator: latents [N, latent_dim] -> [N, H, W, C] in [-1, 1]."""
        return self._generator(tf.cast(latents, tf.float32), training=False)


class KerasExportStudent(ExportedStudent):
    """The Student of a `KerasExport`: a pair of networks, encoder and decoder."""

    def _moments(self, images):
        return self._encoder[0]({"images": images}, training=False)

    def decode(self, codes):
        """Mean of p(x|z): codes [N, code_dim] -> images [N, H, W, C] in [-1, 1]."""
        return self._encoder[1]({"codes": tf.cast(codes, tf.float32)}, training=False)["images"]


def _network(path, name, layer=None):
    """Loads the Keras network in a file, or one layer of it; runs no function that the file itself contains."""
    import keras

    file = os.path.join(path, f"{name}.keras")
    try:
        network = keras.saving.load_model(file, compile=False, safe_mode=True)
        return network.get_layer(layer) if layer else network
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is missing or damaged ({_line(error)}); export the run again.") from error


def _line(error):
    return " ".join(str(error).split())[:200]


def load(path):
    """Loads an export.

    Args:
      path: a folder that `ltgans export --format=keras` wrote; a version folder; the parent of version folders, for
        the newest version; or a folder with `generator` and `encoder`, for the pair that latest.json names. If there
        never was a latest.json, the newest pair is loaded.

    Returns:
      an `ExportedModel`.

    Raises:
      ValueError: there is no export, latest.json is lost, or a newer ltgans_tf wrote the export.
    """
    path = paths.local(path)
    if os.path.isfile(os.path.join(path, FILES_INFO)):
        kind = _read_info(path, FILES_INFO)["kind"]
        if kind != "keras":
            raise ValueError(
                f"{path} has files of the format {kind}, which README.md there says how to run; lt.load reads what"
                " ltgans export --format=keras writes."
            )
        return KerasExport(path)
    if _is_version(path):
        return ExportedModel({_read_info(path)["kind"]: path})
    if _versions(path):
        newest = os.path.join(path, str(_versions(path)[-1]))
        return ExportedModel({_read_info(newest)["kind"]: newest})
    if pair := _newest_pair(path):
        return ExportedModel(pair)
    raise ValueError(
        f"{path} holds neither a run (config.json) nor an export (generator and encoder,"
        " or a version of one of them); give the workdir or the exports folder of a"
        " run."
    )


def _newest_pair(path):
    latest = os.path.join(path, latest_json.NAME)
    if os.path.isfile(latest):
        named = latest_json.read(path)
        if not named.get("pairs", True):
            raise ValueError(f"the first push to {path} has not ended; run the same command again.")
        if "version" not in named:
            raise ValueError(
                f"{path} has versions, but none is approved; approve one with"
                f" ltgans release --base={shlex.quote(path)} --stable=VERSION."
            )
        pair = {kind: os.path.join(path, named[kind]) for kind in latest_json.KINDS if kind in named}
        if gone := [folder for folder in pair.values() if not _is_version(folder)]:
            raise ValueError(
                f"{latest} names {gone[0]}, which does not exist; load an existing version folder."
            )
        return pair
    if os.path.isfile(os.path.join(path, "models.config")):
        raise ValueError(
            f"{path} has lost its latest.json, which says what is served; rebuild it: ltgans release"
            f" --base={shlex.quote(path)} --rebuild. Or load one of its version folders."
        )
    found = {kind: _versions(os.path.join(path, kind)) for kind in latest_json.KINDS}
    found = {kind: versions for kind, versions in found.items() if versions}
    shared = set.intersection(*map(set, found.values())) if found else set()
    if found and not shared:
        raise ValueError(
            f"{path} has no version that generator and encoder share; load one of the version folders."
        )
    return {kind: os.path.join(path, kind, str(max(shared))) for kind in found}


def _is_version(path):
    return os.path.isfile(os.path.join(path, "saved_model.pb"))


def _versions(path):
    return [number for number in paths.numbered(path) if _is_version(os.path.join(path, str(number)))]


def _read_info(path, name=latest_json.INFO):
    file = os.path.join(path, name)
    if not os.path.isfile(file):
        raise ValueError(f"{path} was not exported by ltgans_tf: it has no {name}.")
    fields = {"format_version": int, "kind": str, "image_shape": list, "fit": str, "latent_dim": int}
    info = jsonfiles.read_object(file, latest_json.INFO_VERSION, **fields)
    if info.get("latent_law") == "circle":
        raise ValueError(f"{path} {upgrades.SECTORS}")
    return info
