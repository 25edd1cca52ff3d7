"""Judges a version by its scores, writes its halves to staging folders, and tries them there."""

import datetime
import hashlib
import json
import os

import ltgans_tf
from ltgans_tf import latest_json
from ltgans_tf.export import judge, versions
from ltgans_tf.files import atomic


def stage(model, base, about, staged, settings, served, trials=None):
    """Judges a version, and writes and tries its missing halves.

    Args:
      model: a `LifelongModel`.
      base: folder of the pairs.
      about: dict that both halves store (see `describe`).
      staged: {kind: staging folder} of the missing halves.
      settings: `PushSettings`.
      served: the scores of the served version, see `judge.reasons`.
      trials: see `judge.infra`.

    Raises:
      judge.NotBlessed: the version is refused.
      OSError: a file could not be written.
    """
    reasons = judge.reasons(about["scores"], served, settings.max_regression)
    if reasons and settings.policy == "if_blessed":
        raise judge.NotBlessed(" ".join(reasons))
    halves = {}
    for kind, folder in staged.items():
        answers = written(kind, base, lambda k=kind, f=folder: _save(model, k, f, about))
        halves[kind] = folder, answers
    report = {}
    if settings.validate and halves:
        precision = about["settings"].get("recipe", {}).get("precision", "float32")
        report = judge.infra(halves, settings.max_latency, precision, trials)
    for kind, folder in staged.items():
        extra = os.path.join(folder, "assets.extra")
        atomic.write_json(os.path.join(folder, versions.INFO), {"kind": kind, **about})
        atomic.write_text(os.path.join(extra, "mlmd_uuid"), about["run_id"])
        if settings.validate:
            atomic.write_json(os.path.join(extra, judge.INFRA_BLESSED), report[kind])
        mark = judge.NOT_BLESSED if reasons else judge.BLESSED
        atomic.write_text(os.path.join(extra, mark), "\n".join([*reasons, ""]))


def _save(model, kind, folder, about):
    """Writes a half with its warm-up requests; returns the model's answers to them."""
    from ltgans_tf.export import probes, signatures, warmup

    os.makedirs(os.path.dirname(os.path.join(folder, versions.INFO)))
    if kind == "generator":
        signatures.save_generator(model, folder)
        requests, answers = probes.of_generator(model)
    else:
        signatures.save_encoder(
            model, about["image_shape"], about["fit"], folder, about.get("upright", False)
        )
        requests, answers = probes.of_encoder(model)
    warmup.write(folder, kind, requests)
    return answers


def state_sha256(model):
    """Returns the sha256 of all weights of a model, a str; equal states have equal hashes."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def written(kind, base, write):
    """Returns `write()`; a write error becomes an OSError whose sentence names `kind` and `base`."""
    import tensorflow as tf

    from ltgans_tf.training import checkpoints

    try:
        return write()
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"could not push the {kind} to {base}: {checkpoints.reason(error)}; see to the"
            " disk there and run the same command again."
        ) from error


def describe(model, task, info, row):
    """Returns the description of a version that both halves store: dict, JSON-ready."""
    import keras
    import tensorflow as tf
    import tensorflow_probability as tfp

    settings = model.get_settings()
    return {
        **info,
        "format_version": latest_json.INFO_VERSION,
        "task_index": task.index,
        "task_name": task.name,
        "step": int(model.global_step.numpy()),
        "role": "latest teacher",
        "identity": model.latest_identity,
        "latent_dim": model.latent_dim,
        "latent_law": model.latent_law.noise,
        "domain_dim": model.latent_law.domain_dim,
        "domain_length": model.latent_law.domain_length,
        "domains": [{"number": i + 1, "name": name} for i, name in enumerate(model.domains)],
        "code_dim": None if model.student is None else model.student.code_dim,
        "settings": settings,
        "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "data": row.data if row else None,
        "scores": judge.summary(row) if row else None,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "packages": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "tensorflow_probability": tfp.__version__,
            "ltgans_tf": ltgans_tf.__version__,
        },
    }
