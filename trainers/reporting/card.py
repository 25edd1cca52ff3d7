"""Makes README.md of a folder that `ltgans export` wrote: a model card as the Hugging Face Hub shows it."""

from ltgans_tf.data import catalogue, specs
from ltgans_tf.trainers import report
from ltgans_tf.trainers.reporting import phrases

_LIBRARIES = {"keras": "keras", "onnx": "onnx", "litert": "litert"}
_OPEN = {
    "keras": "import numpy as np, keras",
    "onnx": "import numpy as np, onnxruntime",
    "litert": "import numpy as np; from ai_edge_litert.interpreter import Interpreter",
}
_RUN = {
    "keras": 'keras.saving.load_model("generator.keras")({{{quoted}}})["images"]',
    "onnx": 'onnxruntime.InferenceSession("generator.onnx").run(["images"], {{{quoted}}})[0]',
    "litert": 'Interpreter("generator.tflite").get_signature_runner()({named})["images"]',
}
_SOURCES = {
    "folder": "a folder of images: not known here",
    "npz": "an npz file: not known here",
    "memory": "arrays: not known here",
    "tfds": "TensorFlow Datasets, whose catalogue says it",
}


def text(name, info, planned, run, tried):
    """Returns the model card.

    Args:
      name: name of the model.
      info: content of the folder's export_info.json.
      planned: specs of the tasks learnt.
      run: the `runs.Run`, or None if nothing was measured.
      tried: result of `standalone.write`.

    Returns:
      str, Markdown that begins with the YAML fields of the Hub.
    """
    domains = [domain["name"] for domain in info["domains"]]
    height, width, channels = info["image_shape"]
    size = f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
    rows = [[i + 1, each, _licence(spec)] for i, (each, spec) in enumerate(zip(domains, planned))]
    parts = [
        _front(info["kind"]),
        f"# {name}",
        f"One generator draws {size} images of {phrases.count(domains, 'collection')}, which it learnt one after"
        " another. It was trained with ltgans_tf (Lifelong Twin GANs, Ye and Bors, ICIP 2021; method"
        f" `{info['settings']['method']}`).",
        "![Images that the generator drew, a line for each collection](example.png)",
        "## Use it",
        f"```python\n{usage(info)}\n```",
        _more(info),
        "## Collections",
        _table(["domain", "name", "licence of the images"], rows),
        "The licence of these weights is not chosen yet: replace `unknown` in the first lines of this file by one that the"
        " licences of the images allow.",
        "## Scores",
        *_scores(run),
        "## Limits",
        _limits(size, domains, run),
        "## Files",
        _files(info, tried),
    ]
    return "\n\n".join(parts) + "\n"


def usage(info):
    """Returns Python code that draws ten images of the last collection."""
    noise = info["latent_dim"] - info["domain_dim"]
    draw = (
        f"np.random.default_rng(0).uniform(-1, 1, (10, {noise})).astype(np.float32)"
        if info["latent_law"] == "uniform"
        else f"np.random.default_rng(0).standard_normal((10, {noise}), dtype=np.float32)"
    )
    lines, ports = [_OPEN[info["kind"]], f"noise = {draw}"], ["noise"]
    if info["domain_dim"]:
        last = info["domains"][-1]
        lines.append(f"domain = np.full(10, {last['number']}, np.int32)  # {last['name']}")
        ports.append("domain")
    quoted, named = (", ".join(form.format(port) for port in ports) for form in ('"{0}": {0}', "{0}={0}"))
    run = _RUN[info["kind"]].format(quoted=quoted, named=named)
    shape = ", ".join(map(str, [10, *info["image_shape"]]))
    return "\n".join([*lines, f"images = {run}  # [{shape}] in [-1, 1]"])


def _more(info):
    found = (
        []
        if info["domain_dim"]
        else ["The latents have no domain codes, so it draws from all collections together."]
    )
    found.append("`((np.array(images) + 1) * 127.5).round().astype(np.uint8)` are pixels.")
    if info["kind"] == "keras":
        found.append('With ltgans_tf installed, `ltgans_tf.load("FOLDER").sample(10, seed=0)` draws too.')
    return " ".join(found)


def _front(kind):
    tags = ["ltgans_tf", "gan", "continual-learning", "image-generation"]
    lines = [
        "license: unknown",
        f"library_name: {_LIBRARIES[kind]}",
        "pipeline_tag: unconditional-image-generation",
    ]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _licence(spec):
    found = []
    for part in specs.parse(spec).parts:
        known = catalogue.DATASETS.get(part.path_or_name) if part.source == "name" else None
        found.append(known.licence if known else _SOURCES.get(part.source, "not known here"))
    return "; ".join(dict.fromkeys(found))


def _scores(run):
    if run is None:
        yield "Nothing was measured."
        return
    yield " ".join(report.verdict(run))
    if run.tuning:
        yield f"No test scores: {phrases.TUNING}"
    for name in run.with_one_frechet(run.measured("verdict")):
        if name not in run.matrices:
            continue
        matrix = run.matrices[name]
        rows = [
            [f"after {task}", *(phrases.score(name, value) for value in values)]
            for task, values in zip(matrix.tasks, matrix.values)
        ]
        yield f"{phrases.heading(name)}: {matrix.score.about}"
        yield _table(["", *matrix.tasks], rows)


def _limits(size, domains, run):
    found = [
        f"It draws {size} images and nothing but the collections above.",
        "It may draw images that are close to training images. Nothing filters what it draws.",
        "It was trained once, with one seed.",
    ]
    if len(domains) > 1:
        found.append(
            "Earlier collections are drawn from what the generator remembered of them, so they may be drawn worse."
        )
    if run is not None and run.frechet and not run.frechet.startswith("fid"):
        found.append(
            f"{phrases.label(run.frechet)} is no FID: compare it only with distances on the same classifier."
        )
    return "\n".join(f"- {each}" for each in found)


def _files(info, tried):
    code = info["code_dim"]
    ports = {
        "generator": (
            f"`noise` float32 [n, {info['latent_dim'] - info['domain_dim']}]"
            + (f", `domain` int32 [n] from 1 to {len(info['domains'])}" if info["domain_dim"] else ""),
            "`images`",
        ),
        "encoder": ("`images`", f"`mean` and `stddev` float32 [n, {code}]"),
        "decoder": (f"`codes` float32 [n, {code}]", "`images`"),
    }
    rows = [
        [f"`{file}`", *ports[file.partition(".")[0]], f"{apart:.1e}"]
        for file, apart in tried["apart"].items()
    ]
    shape = ", ".join(map(str, info["image_shape"]))
    return (
        f"{_table(['file', 'inputs', 'outputs', 'largest difference'], rows)}\n\n`images` are float32 [n, {shape}] in"
        f" [-1, 1]. The differences are to the networks that were trained, tried with {tried['runtime']} in a process of its"
        f" own; allowed are {tried['absolute']:g} + {tried['relative']:g} of a number. `export_info.json` has the settings and"
        " the versions of all packages."
    )


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
