import json
import sys

import pytest

from benchmarks import gpu
from tests import programs


def _python(code):
    return [sys.executable, "-c", code]


def _results():
    return {"measured": {}, "failed": {}}


def test_what_a_process_has_measured_is_kept_where_it_does_not_end_in_time(tmp_path):
    path, results = tmp_path / "gpu.json", _results()
    code = """if True:
        import time
        print('{"float32": [3.0, 1.0, 2.0]}', flush=True)
        time.sleep(60)
    """
    gpu.measure("ours small32", _python(code), 1.5, results, str(path))
    assert results["measured"]["ours small32 float32"]["median"] == 2.0
    assert results["failed"] == {"ours small32": "it had not ended after 2 s"}
    assert json.loads(path.read_text("utf-8")) == results


def test_a_process_that_fails_says_why_and_one_without_time_is_not_started():
    results = _results()
    gpu.measure("torch small32 eager", _python("raise SystemExit('no such device')"), 30.0, results)
    gpu.measure("bits run 1", _python("raise SystemExit('started')"), -1.0, results)
    assert results["failed"] == {
        "torch small32 eager": "status 1: no such device",
        "bits run 1": "no time was left",
    }
    assert not results["measured"]


def test_only_the_run_with_xla_gets_xlas_flag_for_equal_bits():
    results = _results()
    show = _python("import json, os; print(json.dumps({'flags': os.environ.get('XLA_FLAGS', 'none')}))")
    for name in ("bits run 1", "bits XLA run 1"):
        gpu.measure(name, show, 30.0, results)
    assert results["measured"] == {
        "bits run 1 flags": "none",
        "bits XLA run 1 flags": "--xla_gpu_deterministic_ops=true",
    }


def test_steps_come_first_then_pytorch_then_bits():
    names = [name for name, _ in gpu.parts(gpu.SIZES, "python-with-torch")]
    assert [name.split()[0] for name in names] == ["ours"] * 2 + ["torch"] * 8 + ["bits"] * 4
    assert not any(name.startswith("torch") for name, _ in gpu.parts(gpu.SIZES, None))
    described = json.loads(dict(gpu.parts(gpu.SIZES, "p"))["torch paper32 cuda_graphs"][-1])
    assert described["n_critic"] == 5 and described["device"] == "cuda" and described["batch_size"] == 64


def test_steps_of_table_1_follow_from_the_best_speed_and_the_time_left():
    measured = {
        "ours paper32 float32": {"median": 200.0},
        "ours paper32 float32, XLA": {"median": 100.0},
        "ours paper32 bfloat16": {"median": 1.0},
    }
    assert gpu._affordable(measured, 160.0, 4) == 250
    assert gpu._affordable({}, 160.0, 4) == 0


def test_the_report_tells_milliseconds_equal_bits_and_what_is_missing():
    results = _results()
    results["measured"] = {
        "ours small32 float32": {"median": 2.0, "min": 1.0, "max": 3.0},
        **{"bits run 1 sha256": "a", "bits run 2 sha256": "a"},
        **{"bits XLA run 1 sha256": "a", "bits XLA run 2 sha256": "b"},
        "table 1": {"steps_per_task": 7, "union": [{"fcd": 1.234}, {}]},
    }
    results["failed"]["torch"] = "no Python with torch"
    assert gpu.report(results).splitlines()[1:] == [
        "ours small32 float32         2.00  1.00 to 3.00",
        "bits: two runs of equal seed are equal",
        "bits XLA: two runs of equal seed are different",
        "Table 1, 7 steps a task: FCD of all after each task 1.23, nan",
        "not measured: torch: no Python with torch",
    ]


def test_an_interpreter_without_torch_is_not_taken():
    assert gpu.with_torch(["no-such-python", sys.executable]) is None


@pytest.mark.campaign("measurements")
def test_the_dry_run_measures_each_part_on_a_cpu(tmp_path):
    path = tmp_path / "gpu.json"
    ran = programs.run("benchmarks.gpu", "--dry_run", f"--out={path}", timeout=500)
    assert ran.returncode == 0, ran.stderr
    results = json.loads(path.read_text("utf-8"))
    assert set(results["failed"]) <= {"torch"}
    measured = results["measured"]
    assert measured["ours small32 float32"]["median"] > 0
    assert measured["ours small32 float32, 50 steps a call"]["median"] > 0
    assert measured["bits run 1 sha256"] == measured["bits run 2 sha256"]
    assert len(measured["table 1"]["union"]) == 3 and (tmp_path / "gpu_samples.png").stat().st_size > 1000
