"""The program that writes the kit: what it writes, prints and refuses."""

import os
import subprocess
import sys

import pytest

from ltgans_tf.export import deployment, desired, kit, serving_config
from tests import programs, source_imports

PAIR = {
    "version": 7,
    "generator": "generator/7",
    "run_id": "run",
    "task_index": 0,
    "task_name": "digits",
    "pending": False,
}
LATEST = {"pairs": [PAIR], "canary": None, "labels": {"stable": 7}, **PAIR}
SERVED = desired.config(LATEST)


@pytest.fixture
def base(tmp_path):
    """A folder as a push leaves it, as far as the kit looks."""
    folder = tmp_path / "exports"
    folder.mkdir()
    desired.record(str(folder), LATEST)
    return folder


def _run(*arguments):
    return programs.run("ltgans_tf.export.kit", *arguments)


def test_program_writes_beside_models_config_and_prints_the_commands(base):
    done = _run(f"--base={base}")
    assert (done.returncode, done.stderr) == (0, "")
    assert deployment.docker_command(str(base)) in done.stdout
    assert done.stdout.rstrip().endswith("curl http://localhost:8501/v1/models/generator")
    assert {path.name: path.read_text() for path in base.iterdir() if path.name != "latest.json"} == {
        "models.config": SERVED,
        "batching.config": serving_config.batching_config(),
        "monitoring.config": serving_config.monitoring_config(),
        "kubernetes.yaml": deployment.kubernetes_manifest(),
    }


def test_kit_goes_to_another_folder_which_docker_mounts(base, tmp_path):
    out = tmp_path / "made" / "kit"
    said = kit.write(str(base), str(out))
    assert sorted(path.name for path in base.iterdir()) == ["latest.json", "models.config"]
    assert sorted(os.listdir(out)) == ["batching.config", "kubernetes.yaml", "monitoring.config"]
    assert f"source={base},target=/models" in said and f"source={out},target=/config" in said


def test_kit_without_batching_has_no_flag_of_it(base):
    assert "--enable_batching" in kit.write(str(base))
    assert "batching=" not in kit.write(str(base), batching=False)
    assert "--enable_batching" not in (base / "kubernetes.yaml").read_text()


def test_second_kit_replaces_the_first(base):
    kit.write(str(base))
    (base / "monitoring.config").write_text("# edited\n" * 100)
    kit.write(str(base))
    assert (base / "monitoring.config").read_text() == serving_config.monitoring_config()


def test_kit_writes_models_config_anew_where_latest_json_says_another(base):
    for stale in (SERVED.replace("7", "6"), None):
        os.remove(base / "models.config")
        if stale is not None:
            (base / "models.config").write_text(stale)
        assert kit.write(str(base)).startswith("note: models.config was not what latest.json says")
        assert (base / "models.config").read_text() == SERVED
    assert kit.write(str(base)).startswith("Wrote")


def test_folder_without_a_served_version_ends_in_one_sentence(tmp_path):
    done = _run(f"--base={tmp_path}", f"--out={tmp_path}/kit")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {tmp_path} has no version that is served, so there is nothing to serve; push a run there with:"
        f" ltgans push --workdir=... --base={tmp_path}\n"
    )
    assert not os.listdir(tmp_path)


def test_out_that_is_a_file_ends_in_one_sentence(base):
    done = _run(f"--base={base}", f"--out={base}/models.config")
    assert done.returncode == 2
    assert done.stderr == f"error: {base}/models.config: File exists.\n"
    assert (base / "models.config").read_text() == SERVED


@pytest.mark.program
def test_program_does_not_wait_for_tensorflow():
    ask = "import sys, ltgans_tf.export.kit; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=source_imports.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
