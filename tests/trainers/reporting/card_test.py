"""The card of an export: scores, licences and limits, for those who have nothing but the folder."""

import pytest

from ltgans_tf.trainers.reporting import card, runs
from tests import fake_runs

TRIED = {"runtime": "keras 3", "apart": {"generator.keras": 1e-7}, "absolute": 1e-4, "relative": 1e-3}


def _info(**change):
    names = ["digits", "cats|dogs"]
    return {
        "kind": "keras",
        "image_shape": [32, 32, 3],
        "latent_dim": 68,
        "latent_law": "normal",
        "domain_dim": 4,
        "code_dim": None,
        "domains": [{"number": i + 1, "name": name} for i, name in enumerate(names)],
        "settings": {"method": "ltgan"},
        **change,
    }


def test_card_has_the_score_matrix_of_the_run(tmp_path):
    run = runs.Run(fake_runs.make_run(tmp_path / "run"))
    text = card.text("pets", _info(), ["digits", "glyphs"], run, TRIED)
    values = run.matrices["nlog"].values
    for i, task in enumerate(run.tasks):
        row = [f"{value:.1f}" for value in values[i, : i + 1]] + ["\N{EN DASH}"] * (len(values) - 1 - i)
        assert f"| after {task} | {' | '.join(row)} |" in text
    assert "FCD is no FID" in text and "Nothing was measured." not in text


def test_card_tells_the_licence_of_each_collection_and_no_path():
    specs = ["digits", "folder:/home/me/cats+fashion_mnist", "npz:/home/me/dogs.npz", "tfds:beans"]
    domains = [{"number": i + 1, "name": f"set {i}"} for i in range(4)]
    text = card.text("pets", _info(domains=domains), specs, None, TRIED)
    assert "| 1 | set 0 | MNIST, usually stated CC BY-SA 3.0 |" in text
    assert "| 2 | set 1 | a folder of images: not known here; MIT |" in text
    assert "| 3 | set 2 | an npz file: not known here |" in text
    assert "| 4 | set 3 | TensorFlow Datasets, whose catalogue says it |" in text
    assert "/home/me" not in text and "Nothing was measured." in text


def test_card_begins_with_the_fields_of_the_hub():
    lines = card.text("pets", _info(kind="onnx"), ["digits", "digits"], None, TRIED).splitlines()
    assert lines[0] == "---" and lines[1:4] == [
        "license: unknown",
        "library_name: onnx",
        "pipeline_tag: unconditional-image-generation",
    ]
    assert lines[lines.index("---", 1) + 2] == "# pets"


@pytest.mark.parametrize(
    "change, lines",
    [
        ({}, ["standard_normal((10, 64), dtype=np.float32)", "np.full(10, 2, np.int32)  # cats|dogs"]),
        ({"latent_law": "uniform"}, ["uniform(-1, 1, (10, 64)).astype(np.float32)"]),
        ({"domain_dim": 0}, ["(10, 68)", '({"noise": noise})']),
    ],
)
def test_usage_draws_what_the_model_was_trained_on(change, lines):
    usage = card.usage(_info(**change))
    compile(usage, "usage", "exec")
    assert all(line in usage for line in lines) and len(usage.splitlines()) <= 5
