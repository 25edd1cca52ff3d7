"""A staged version that does not work is found out in a process of its own, with the reason."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import tensorflow as tf

from ltgans_tf.export import check, judge, probes, signatures, warmup
from tests import source_imports


@pytest.fixture(scope="module")
def trials():
    made = judge.Trials()
    yield made
    made.close()


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Folder and answers of both halves of a tiny model."""
    from ltgans_tf.methods import twin_gan
    from ltgans_tf.settings import presets
    from tests.tiny import TINY

    folder = tmp_path_factory.mktemp("staged")
    model = twin_gan.TwinGAN.from_architecture(TINY, 3, True, presets.Recipe(domain_dim=4))
    signatures.save_generator(model, str(folder / "generator"))
    signatures.save_encoder(model, (8, 8, 3), "crop", str(folder / "encoder"))
    made = {"generator": probes.of_generator(model), "encoder": probes.of_encoder(model)}
    for kind, (requests, _) in made.items():
        warmup.write(str(folder / kind), kind, requests)
    return {kind: (str(folder / kind), answers) for kind, (_, answers) in made.items()}


def _checked(halves, tmp_path, max_latency=60.0):
    """What `check` says, in this process."""
    spec = {}
    for kind, (folder, answers) in halves.items():
        arrays = {f"{i}/{name}": a for i, one in enumerate(answers) for name, a in one.items()}
        spec[kind] = folder, arrays
    try:
        return {kind: check._check(kind, *pair, max_latency, 1.0) for kind, pair in spec.items()}
    except check._Refused as error:
        return str(error)


@pytest.mark.program
def test_what_works_is_reported_with_its_times_by_another_process(staged, trials):
    report = judge.infra(staged, 60.0, trials=trials)
    assert set(report) == {"generator", "encoder"}
    assert set(report["generator"]["latency_ms"]) == {
        "serving_default",
        "generate_png",
        "sample_png",
        "sample_domain_png",
        "domains",
    }
    assert set(report["encoder"]["latency_ms"]) == {
        "serving_default",
        "encode",
        "decode",
        "reconstruct",
        "interpolate",
        "score",
    }
    times = [
        time for half in report.values() for time in (half["load_seconds"], *half["latency_ms"].values())
    ]
    assert all(0 < time < 60_000 for time in times)


@pytest.mark.program
def test_what_does_not_is_refused_with_the_reason(trials, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(judge.NotBlessed, match="the encoder cannot be loaded: .*empty"):
        judge.infra({"encoder": (str(tmp_path / "empty"), [])}, 60.0, trials=trials)


def test_layers_in_16_bits_may_round_elsewhere_but_not_be_wrong():
    wanted = np.zeros((2, 3), np.float32)
    check._compare("images", wanted + 1e-3, wanted, check.SIXTEEN_BITS)
    for apart, looser in ((1e-3, 1.0), (1e-2, check.SIXTEEN_BITS)):
        with pytest.raises(check._Refused, match="images is .* away from what the model in memory gives"):
            check._compare("images", wanted + np.float32(apart), wanted, looser)


@pytest.mark.program
def test_each_trial_has_a_process_of_its_own_and_all_share_one_import(staged, trials):
    generator = {"generator": staged["generator"]}
    judge.infra(generator, 60.0, trials=trials)
    process = trials._process
    with pytest.raises(judge.NotBlessed, match="died with status 1: ValueError"):
        trials.run(b"no npz")
    assert set(judge.infra(generator, 60.0, trials=trials)) == {"generator"}
    assert trials._process is process and process.poll() is None


@pytest.mark.program
def test_a_process_that_has_died_is_started_again(staged, trials):
    trials.prepare(600.0)
    os.kill(trials._process.pid, signal.SIGKILL)
    trials._process.wait()
    assert set(judge.infra({"generator": staged["generator"]}, 60.0, trials=trials)) == {"generator"}


@pytest.mark.program
def test_the_process_ends_with_the_run_even_before_a_trial():
    program = (
        "import os\nfrom ltgans_tf.export import judge\ntrials = judge.Trials()\n"
        "trials.prepare(600.0)\nprint(trials._process.pid, flush=True)\nos._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=source_imports.ROOT, capture_output=True, text=True, check=True
    )
    for _ in range(100):
        if not os.path.exists(f"/proc/{int(done.stdout)}/exe"):
            return
        time.sleep(0.1)
    pytest.fail("the process of the trials outlived its run by 10 s")


@pytest.mark.program
def test_a_trial_that_takes_too_long_is_ended(staged, monkeypatch):
    monkeypatch.setattr(judge, "_TIMEOUT", 0.01)
    with pytest.raises(judge.NotBlessed, match="was not done after 0.01 seconds"):
        judge.infra({"generator": staged["generator"]}, 60.0)


@pytest.mark.program
def test_the_process_of_the_check_cannot_import_the_library():
    program = (
        "import runpy, sys\nsys.argv[1:] = ['0']\n"
        "try:\n  runpy.run_module('ltgans_tf.export.check', run_name='__main__')\n"
        "except Exception:\n  import ltgans_tf"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=source_imports.ROOT,
        input="no trial",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "import of ltgans_tf halted" in done.stderr


@pytest.mark.program
def test_there_is_no_file_that_a_kill_could_leave_behind(staged, trials, tmp_path, monkeypatch):
    run, there = trials.run, []

    def noted(sent):
        there.append(list(tmp_path.iterdir()))
        return run(sent)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(trials, "run", noted)
    judge.infra(staged, 60.0, trials=trials)
    assert there == [[]] and not list(tmp_path.iterdir())


def _changed(staged, kind, change):
    folder, answers = staged[kind]
    answers = [dict(one) for one in answers]
    change(answers)
    return {kind: (folder, answers)}


@pytest.mark.program
@pytest.mark.parametrize(
    "kind, change, sentence",
    [
        (
            "generator",
            lambda answers: answers[0].update(images=answers[0]["images"] + 0.01),
            "images of signature 'serving_default' of the generator is 0.01 away from what the model in",
        ),
        (
            "generator",
            lambda answers: answers[1].update(images_bytes=answers[1]["images_bytes"] ^ 4),
            "images_bytes of signature 'generate_png' of the generator is 4 away",
        ),
        (
            "encoder",
            lambda answers: answers[0].pop("stddev"),
            "signature 'serving_default' of the encoder gives ['mean', 'stddev'], the model in memory ['mean']",
        ),
    ],
)
def test_answers_that_are_not_the_models_are_refused(staged, tmp_path, kind, change, sentence):
    assert sentence in _checked(_changed(staged, kind, change), tmp_path)


@pytest.mark.program
def test_a_signature_that_is_too_slow_is_refused(staged, tmp_path):
    said = _checked(staged, tmp_path, max_latency=1e-9)
    assert "takes" in said and "for one row; at most 0 ms are allowed" in said


class _Broken(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def divide(self, x):
        return {"y": 1.0 / x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def fail(self, x):
        tf.debugging.assert_greater(x, 100.0, "too small")
        return {"y": x}


@pytest.mark.parametrize(
    "names, value, sentence",
    [
        (["divide"], 0.0, "y of signature 'divide' of the encoder is not finite."),
        (["fail"], 1.0, "signature 'fail' of the encoder fails: "),
        (["divide", "fail"], 1.0, "the encoder's signatures and its warm-up differ in fail."),
    ],
)
def test_numbers_that_are_none_failures_and_untried_signatures_are_refused(tmp_path, names, value, sentence):
    module, folder = _Broken(), str(tmp_path / "broken")
    tf.saved_model.save(module, folder, signatures={name: getattr(module, name) for name in names})
    inputs = np.float32([value])
    warmup.write(folder, "encoder", [(names[0], {"x": inputs})])
    answers = [{"y": np.float32([1.0])}]
    assert sentence in _checked({"encoder": (folder, answers)}, tmp_path)
    assert os.path.isdir(folder)
