"""Sends good and bad requests in turn to the exported signatures of a tiny trained run.

  python -m tests.hostile.served --requests=50000 --out=served.json

The rows of a good request are drawn from some whose answers the networks in memory gave, so that each answer is
compared; a bad one must end in an error. No server is run: the SavedModels are loaded in this process, as a
server loads them. Resident memory is read from /proc, so on Linux only.
"""

import collections
import io
import os
import struct
import tempfile
import time
import zlib

import numpy as np
from absl import flags
from PIL import Image

import benchmarks
from ltgans_tf.settings import architectures, presets
from ltgans_tf.trainers import import_tensorflow, run

_TINY = architectures.Architecture("paper8", 8, 4, 3, (2, 8), ((8, 2), (4, 2)), (8, 16))
_SHAPE = (8, 8, 3)
_POOL = 64  # rows whose answers are known
_ABSOLUTE, _RELATIVE = 1e-4, 1e-3  # of numbers, as ltgans_tf.export.check has them
_LEVELS = 1  # of 255, of images in files
_SHARES = (0.2, 1.0)  # of the requests, after which memory is read


def tiny_model():
    """A compiled TwinGAN with a Student, of networks for images of 8x8."""
    from ltgans_tf.methods import twin_gan

    model = twin_gan.TwinGAN.from_architecture(_TINY, 3, True, presets.Recipe(), 0)
    model.compile()
    return model


def trained(folder, steps):
    """The same model after two tasks of `steps` steps on noise."""
    from ltgans_tf.data import streams

    model, draw, tasks = tiny_model(), np.random.default_rng(0), []
    for i in range(2):
        path = os.path.join(folder, f"set{i}.npz")
        noise = draw.integers(80 * i, 80 * i + 120, (48, *_SHAPE), dtype=np.uint8)
        np.savez(path, train_images=noise[:40], test_images=noise[40:])
        tasks.append(f"npz:{path}")
    model.fit_stream(streams.TaskStream(tasks, _SHAPE, 8), steps)
    return model


def pools(model):
    """[(signature's name, {input: rows}, {output: rows})] of what is right."""
    from ltgans_tf.export import probes

    return [
        (f"{kind} {name}", inputs, outputs)
        for kind, of_half in (("generator", probes.of_generator), ("encoder", probes.of_encoder))
        for (name, inputs), outputs in zip(*of_half(model, (_POOL,)), strict=True)
    ]


def load(model, folder):
    """{signature's name: what it runs} of both halves, exported and loaded again."""
    import tensorflow as tf

    from ltgans_tf.export import signatures

    signatures.save_generator(model, os.path.join(folder, "generator"))
    signatures.save_encoder(model, _SHAPE, "crop", os.path.join(folder, "encoder"))
    halves = {kind: tf.saved_model.load(os.path.join(folder, kind)) for kind in ("generator", "encoder")}
    return {f"{kind} {name}": f for kind, half in halves.items() for name, f in half.signatures.items()}


def picture(form, size, mode="RGB", animated=False):
    """The bytes of an image file."""
    mode = "RGB" if (form, mode) == ("JPEG", "P") else mode
    file, frames = io.BytesIO(), [Image.new(mode, size, value) for value in (255, 0)]
    frames[0].save(file, form, **({"save_all": True, "append_images": frames[1:]} if animated else {}))
    return file.getvalue()


def png_of(width, height, depth=8, color=2):
    """A PNG of a few bytes that declares a size, every checksum right."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def hostile_files():
    """Files that are no images, or none that may be decoded."""
    png = png_of(8, 8)
    frames = [picture("WEBP", (8, 8), animated=True), picture("BMP", (3, 9))]
    bombs = [
        png_of(50_000, 50_000),
        png_of(2**31 - 1, 2**31 - 1, 16, 6),
        b"GIF89a" + b"\xff" * 90,
    ]
    return [b"", b"no image", b"\xff\xd8\xff", b"RIFF", png[:40], png[:-30], *frames, *bombs]


# What is done to the inputs of a good request, {name: array}, so that it is none; None where there is nothing of
# that kind to do.


def _numeric(inputs, draw):
    names = [name for name, value in inputs.items() if value.dtype.kind == "f"]
    return draw.choice(names) if names else None


def wrong_dtype(inputs, draw):
    name = draw.choice(list(inputs))
    kind = np.float64 if inputs[name].dtype != object else np.int32
    return {**inputs, name: np.zeros(inputs[name].shape, kind)}


def wrong_shape(inputs, draw):
    name = draw.choice(list(inputs))
    return {**inputs, name: inputs[name][..., None] if draw.random() < 0.5 else inputs[name][None]}


def missing_input(inputs, draw):
    gone = draw.choice(list(inputs))
    return {name: value for name, value in inputs.items() if name != gone}


def unknown_input(inputs, draw):
    return {**inputs, f"input_{draw.integers(9)}": next(iter(inputs.values()))}


def no_rows(inputs, draw):
    del draw
    return {name: value[:0] for name, value in inputs.items()}


def unequal_rows(inputs, draw):
    if len(inputs) == 1:
        return None
    name = draw.choice(list(inputs))
    rows = len(inputs[name])
    other = inputs[name][:1] if rows > 1 else np.concatenate([inputs[name]] * 2)
    return {**inputs, name: other}


def not_finite(inputs, draw):
    name = _numeric(inputs, draw)
    if name is None:
        return None
    value = inputs[name].copy()
    value.flat[draw.integers(value.size)] = draw.choice([np.nan, np.inf, -np.inf])
    return {**inputs, name: value}


def beyond_the_ends(inputs, draw):
    name = next((name for name in inputs if name in ("weight", "truncation")), None)
    if name is None:
        return None
    return {**inputs, name: inputs[name] + np.float32(draw.choice([-1.5, 1.5, 1e30]))}


def broken_file(inputs, draw):
    names = [name for name in inputs if inputs[name].dtype == object]
    if not names:
        return None
    name, files = draw.choice(names), hostile_files()
    value = inputs[name].copy()
    value[draw.integers(len(value))] = files[draw.integers(len(files))]
    return {**inputs, name: value}


BAD = (
    wrong_dtype,
    wrong_shape,
    missing_input,
    unknown_input,
    no_rows,
    unequal_rows,
    not_finite,
    beyond_the_ends,
    broken_file,
)


def measure(model, folder, requests, seed=0):
    """Sends `requests` requests, every second one bad.

    Returns:
      JSON-ready dict: 'kinds', {kind of request: {'sent', 'right'}}, of which a bad one is right where it ends in an
      error, with the first 'wrong' ones in words; 'memory_mb' after each of _SHARES; 'slowest', the
      longest answer in seconds and what it was to.
    """
    runs, known, draw = load(model, folder), pools(model), np.random.default_rng(seed)
    kinds = collections.defaultdict(lambda: {"sent": 0, "right": 0})
    wrong, memory, slowest = [], {}, (0.0, "")
    for name, inputs, _ in known:  # a first answer is slow, and a server in use has given it
        runs[name](**{key: _tensor(value[:1]) for key, value in inputs.items()})
    marks = {max(1, int(share * requests)): share for share in _SHARES}
    for i in range(requests):
        name, inputs, outputs = known[draw.integers(len(known))]
        rows = draw.integers(0, _POOL, draw.integers(1, 9))
        request, kind = {key: value[rows] for key, value in inputs.items()}, "good"
        if i % 2:
            request, kind = _spoilt(request, draw)
        begin = time.perf_counter()
        error = _error(runs[name], request, None if i % 2 else {k: v[rows] for k, v in outputs.items()})
        slowest = max(slowest, (time.perf_counter() - begin, f"{kind} to {name}"))
        kinds[kind]["sent"] += 1
        kinds[kind]["right"] += not error
        if error and len(wrong) < 20:
            wrong.append(f"{kind} request of {len(rows)} rows to {name}: {error}")
        if i + 1 in marks:
            memory[str(marks[i + 1])] = benchmarks.resident_mb()
    return {"kinds": dict(sorted(kinds.items())), "wrong": wrong, "memory_mb": memory, "slowest": slowest}


def _spoilt(request, draw):
    while True:
        spoil = BAD[draw.integers(len(BAD))]
        if (bad := spoil(request, draw)) is not None:
            return bad, spoil.__name__


def _error(run_signature, request, wanted):
    """What is wrong with the answer, in words; '' if nothing is. `wanted` is None where an error is."""
    import tensorflow as tf

    try:
        made = run_signature(**{name: _tensor(value) for name, value in request.items()})
    except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
        return "" if wanted is None else " ".join(str(error).split())[:300]
    if wanted is None:
        return "answered"
    if made.keys() != wanted.keys():
        return f"gives {sorted(made)}"
    differ = [name for name, value in wanted.items() if not _agree(made[name].numpy(), value)]
    return f"other {', '.join(differ)}" if differ else ""


def _tensor(value):
    import tensorflow as tf

    return (
        tf.constant(value.tolist(), tf.string, value.shape) if value.dtype == object else tf.constant(value)
    )


def _agree(value, wanted):
    import tensorflow as tf

    if value.dtype == object:  # PNG files
        value = np.array([tf.io.decode_png(data).numpy() for data in value], int).reshape(wanted.shape)
        return bool((np.abs(value - wanted) <= _LEVELS).all())
    return value.shape == wanted.shape and np.allclose(value, wanted, _RELATIVE, _ABSOLUTE)


def report(results):
    """The table of `measure`'s results and the memory, as text."""
    rows = [[kind, row["sent"], row["right"]] for kind, row in results["kinds"].items()]
    total = ["all", *(sum(row[key] for row in results["kinds"].values()) for key in ("sent", "right"))]
    seconds, slowest = results["slowest"]
    memory = ", ".join(f"{mb:.0f} MB after {float(share):.0%}" for share, mb in results["memory_mb"].items())
    return "\n".join(
        [
            benchmarks.table(["request", "sent", "right"], [*rows, total]),
            f"resident memory: {memory} of the requests; slowest answer: {seconds:.2f} s, {slowest}",
            *results["wrong"],
        ]
    )


def main(_):
    given = flags.FLAGS
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(trained(folder, given.steps), folder, given.requests)
    benchmarks.publish({"conditions": benchmarks.conditions(), **results}, report(results))


if __name__ == "__main__":
    flags.DEFINE_integer("requests", 50_000, "Requests, every second one bad.", 2)
    flags.DEFINE_integer("steps", 20, "Steps of training in each of the two tasks.", 1)
    benchmarks.define_output()
    run(main)
