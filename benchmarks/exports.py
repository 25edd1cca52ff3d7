"""Measures exports: size, time to write, try and load, and each signature against the model's own call.

  python -m benchmarks.exports --architecture=small32 --batches=1,16,64 --out=exports.json

Each signature takes turns with the same call of the Keras networks in a compiled function, if there is one, so
that the load of the machine affects both. The model is untrained: times do not depend on its weights.
"""

import os
import tempfile
import time

from absl import flags

import benchmarks
from ltgans_tf.export import path_flags
from ltgans_tf.settings import architectures
from ltgans_tf.trainers import import_tensorflow, run


def main(_):
    given = flags.FLAGS
    arch = architectures.architecture(given.architecture)
    batches = [int(text) for text in given.batches]
    if min(batches) < 1 or given.repeats < 2:
        raise ValueError(f"batches are {batches} and repeats {given.repeats}; give at least 1 and 2.")
    tf = import_tensorflow()
    from ltgans_tf.methods import twin_gan

    conditions = benchmarks.conditions()
    model = twin_gan.TwinGAN.from_architecture(arch)
    model.task_index.assign(1)
    with tempfile.TemporaryDirectory() as base:
        results = _pushed(model, base)
        print(
            f"export {results['export_seconds']:.1f} s, with trying {results['export_and_try_seconds']:.1f} s"
        )
        rows = []
        for kind, half in results["halves"].items():
            print(f"{kind}: {half['megabytes']:.1f} MB, loaded in {half['load_seconds']:.2f} s")
            loaded = tf.saved_model.load(half.pop("folder"))
            for name, (inputs, own) in _calls(model, kind, max(batches)).items():
                for batch in batches:
                    row = {"kind": kind, "signature": name, "batch": batch}
                    row |= _measure(loaded.signatures[name], own, inputs, batch, given.repeats)
                    rows.append(row)
                    print(line(row), flush=True)
    settings = {"architecture": arch.name, "batches": batches, "repeats": given.repeats}
    benchmarks.write(given.out, {"conditions": conditions, "settings": settings, **results, "rows": rows})


def _pushed(model, base):
    """Pushes twice, without and with the process that tries the export."""
    from ltgans_tf.export import judge, push, versions

    info = {"run_id": "benchmark", "image_shape": list(model.image_shape), "fit": "crop"}
    begin = time.perf_counter()
    push.push(model, push.Task(0, "first"), base, info, push.PushSettings("always", validate=False))
    between = time.perf_counter()
    version = push.push(
        model, push.Task(1, "second"), base, info, push.PushSettings("always", max_latency=60.0)
    )
    results = {"export_seconds": between - begin, "export_and_try_seconds": time.perf_counter() - between}
    halves = {}
    for kind in versions.KINDS:
        folder = versions.place(base, kind, version)
        size = sum(
            os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names
        )
        report = versions.read_json(os.path.join(folder, "assets.extra", judge.INFRA_BLESSED))
        halves[kind] = {"folder": folder, "megabytes": size / 1e6, "load_seconds": report["load_seconds"]}
    return {**results, "halves": halves}


def _calls(model, kind, rows):
    """{signature: (inputs of `rows` rows, the model's own call on such inputs or None)}."""
    import numpy as np
    import tensorflow as tf

    latents, student = model.latents(rows).numpy(), model.student
    if kind == "generator":
        seeds, whole = np.arange(rows), np.ones(rows, np.float32)
        calls = {
            "serving_default": ({"latents": latents}, tf.function(model.generate)),
            "generate_png": ({"latents": latents}, None),
            "sample_png": ({"seed": seeds, "truncation": whole}, None),
        }
        if model.latent_law.domain_dim:
            first = {"domain": np.ones(rows, int)}
            calls["sample_domain_png"] = ({"seed": seeds, **first, "truncation": whole}, None)
            calls["domains"] = (first, None)
        return calls
    pictures = model.sample(rows)
    levels = tf.cast((pictures + 1) * 127.5, tf.uint8)
    files = np.array([tf.io.encode_png(picture).numpy() for picture in levels], object)
    codes, half = student.encode(pictures).mean().numpy(), np.full(rows, 0.5, np.float32)

    @tf.function
    def encode(images):
        posterior = student.encode(images)
        return posterior.mean(), posterior.stddev()

    return {
        "serving_default": ({"image_bytes": files}, None),
        "encode": ({"images": pictures.numpy()}, encode),
        "decode": ({"codes": codes}, tf.function(student.decode)),
        "reconstruct": ({"image_bytes": files}, None),
        "interpolate": ({"image_a_bytes": files, "image_b_bytes": files[::-1], "weight": half}, None),
        "score": ({"image_bytes": files}, None),
    }


def _measure(signature, own, inputs, batch, repeats):
    import numpy as np
    import tensorflow as tf

    fed = {name: tf.constant(value[:batch]) for name, value in inputs.items()}
    calls = {"served": lambda: signature(**fed)}
    if own is not None:
        calls["own"] = lambda: own(*fed.values())
    taken = {name: [] for name in calls}
    for i in range(repeats + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            for value in tf.nest.flatten(call()):
                value.numpy()
            if i:  # the first call traces
                taken[name].append(1000 * (time.perf_counter() - begin))
    row = {}
    for name, times in taken.items():
        p50, p99 = (float(value) for value in np.percentile(times, [50, 99]))
        row[name] = {"p50_ms": p50, "p99_ms": p99, "images_per_second": 1000 * batch / p50}
    if own is not None:
        row["ratio"] = float(np.median(np.divide(taken["served"], taken["own"])))
    return row


def line(row):
    """Returns a row of the results as one line of text."""
    served = row["served"]
    text = (
        f"{row['kind']} {row['signature']}, batch {row['batch']}: p50 {served['p50_ms']:.2f} ms, p99"
        f" {served['p99_ms']:.2f} ms, {served['images_per_second']:.0f} images/s"
    )
    if "own" in row:
        text += f"; the model's own call {row['own']['p50_ms']:.2f} ms, ratio {row['ratio']:.2f}"
    return text


if __name__ == "__main__":
    flags.DEFINE_string("architecture", "small32", "Networks, a name of ARCHITECTURES.")
    flags.DEFINE_list("batches", ["1", "16", "64"], "Rows of a request.")
    flags.DEFINE_integer("repeats", 100, "Calls of each, after one that traces.")
    path_flags.define_path("out", None, "JSON file to write the results to.")
    run(main)
