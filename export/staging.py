"""Writes the halves of a version beside their places, judged and tried before they are put there."""

import datetime
import hashlib
import json
import os

import ltgans_tf
from export import blessing, validation, versions
from ltgans_tf.files import atomic

FORMAT_VERSION = 1


def stage(model, base, about, staged, terms, served):
    """Judges a version, writes what is missing of it to its staging folders, and tries that."""
    reasons = blessing.reasons(about["scores"], served, terms.max_regression)
    if reasons and terms.policy == "if_blessed":
        raise validation.NotBlessed(" ".join(reasons))
    halves = {}
    for kind, folder in staged.items():
        answers = written(kind, base, lambda k=kind, f=folder: _save(model, k, f, about))
        halves[kind] = folder, answers
    report = {}
    if terms.validate and halves:
        precision = about["settings"].get("recipe", {}).get("precision", "float32")
        report = validation.infra(halves, terms.max_latency, precision)
    for kind, folder in staged.items():
        extra = os.path.join(folder, "assets.extra")
        versions.write_json(os.path.join(folder, versions.INFO), {"kind": kind, **about})
        atomic.write_text(os.path.join(extra, "mlmd_uuid"), about["run_id"])
        if terms.validate:
            versions.write_json(os.path.join(extra, validation.BLESSED), report[kind])
        mark = blessing.NOT_BLESSED if reasons else blessing.BLESSED
        atomic.write_text(os.path.join(extra, mark), "\n".join([*reasons, ""]))


def _save(model, kind, folder, about):
    """Writes a half with its warm-up; returns what the model answers to that."""
    from export import probes, signatures, warmup

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
    """What tells one state of a model from another: the sha256 of all its weights, a str."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def written(kind, base, write):
    """What `write()` returns; an error of the disk is told in one sentence."""
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
    """What both halves say about themselves."""
    import keras
    import tensorflow as tf
    import tensorflow_probability as tfp

    settings = model.get_settings()
    return {
        **info,
        "format_version": FORMAT_VERSION,
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
        "scores": blessing.summary(row) if row else None,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "packages": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "tensorflow_probability": tfp.__version__,
            "ltgans_tf": ltgans_tf.__version__,
        },
    }
