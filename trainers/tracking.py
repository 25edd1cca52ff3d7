"""Copies settings, metrics.jsonl, scores and samples from the workdir of a run to mlflow (--tracker=mlflow).

The workdir stays the source: what mlflow does not have yet is read from there. So a run that continues after a crash
continues the same mlflow run, which the file mlflow_run in the workdir names. No point is sent twice, and points that
could not be sent are sent later. After a rollback (--on_nonfinite) mlflow keeps the points that it has.

MLFLOW_TRACKING_URI names the store, by default mlflow.db in the workdir, and MLFLOW_EXPERIMENT_NAME the experiment.
"""

import glob
import importlib
import importlib.util
import json
import logging
import os
import re
import time

from ltgans_tf.evaluation import row as rows
from ltgans_tf.evaluation import scores
from ltgans_tf.files import atomic, jsonfiles, metrics_log
from ltgans_tf.trainers.reporting import run_groups

RUN = "mlflow_run"  # file of the workdir with the id of the mlflow run
_EVERY_POINT = "speed/steps_per_second"  # a name that every point of metrics.jsonl has
_MOST = 500  # numbers that are sent at once
_PICTURES = "samples/task_{0:02d}/boundary.png", "figures/stream.png"
_log = logging.getLogger(__name__)


class Off:
    """A tracker that does nothing."""

    begin = step = boundary = end = staticmethod(lambda *_: None)


class Mlflow:
    """A tracker that sends a run to mlflow; called as a task begins, after each step and task, and at the end.

    Args:
      workdir: folder of the run.

    Raises:
      ValueError: mlflow is missing.
    """

    def __init__(self, workdir):
        if importlib.util.find_spec("mlflow") is None:
            raise ValueError('--tracker=mlflow needs mlflow: pip install "mlflow==3.17.*"')
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault(
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"
        )  # a server that is away must not stop training
        self._mlflow = importlib.import_module("mlflow")  # not a requirement of this project
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # alembic reports each table that it makes
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._workdir, self._points = os.path.abspath(workdir), os.path.join(workdir, metrics_log.NAME)
        self._file = os.path.join(workdir, RUN)
        self._client = self._run = None

    def begin(self, _=None):
        """Opens the mlflow run; called before a task's first step, after the logs are cut back to where it continues."""
        if self._run is None:
            try:
                self._open()
            except self._mlflow.MlflowException as error:
                named = f" {self._file} names the run; remove it to begin another." * os.path.isfile(
                    self._file
                )
                raise ValueError(f"mlflow cannot keep this run: {_line(error)}{named}") from error
        self._read = 0

    def _open(self):
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self._workdir}/mlflow.db"
        own = None if os.environ.get("MLFLOW_TRACKING_URI") else f"file://{self._workdir}/mlflow_artifacts"
        self._client = self._mlflow.MlflowClient(place)
        if os.path.isfile(self._file):
            with open(self._file, encoding="utf-8") as file:
                run = self._client.get_run(file.read().strip()).info.run_id
            self._client.update_run(run, status="RUNNING")
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "ltgans_tf"
            found = self._client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else self._client.create_experiment(name, own)
            run = self._client.create_run(experiment, run_name=os.path.basename(self._workdir)).info.run_id
            atomic.write_text(self._file, f"{run}\n")
        params = run_groups.flat(jsonfiles.read_object(os.path.join(self._workdir, "config.json")))
        params = [self._mlflow.entities.Param(_name(key), str(value)[:500]) for key, value in params.items()]
        self._run, self._sent = run, self._last(run, _EVERY_POINT)
        for i in range(0, len(params), 100):  # the most that one request may have
            self._client.log_batch(run, params=params[i : i + 100])

    def _last(self, run, key):
        """Returns the last step at which mlflow has a value of `key`, 0 if there is none."""
        return max((point.step for point in self._client.get_metric_history(run, key)), default=0)

    def step(self, *_):
        """Sends the new points of metrics.jsonl; called after each step."""
        if not os.path.isfile(self._points) or os.path.getsize(self._points) == self._read:
            return
        with open(self._points, "rb") as file:
            file.seek(self._read)
            lines = [line for line in file if line.endswith(b"\n")]
        points = [point for point in map(json.loads, lines) if point["step"] > self._sent]
        numbers = [
            (key, value, point["step"])
            for point in points
            for key, value in point.items()
            if isinstance(value, float)
        ]
        if self._send(numbers):
            self._read += sum(map(len, lines))
            self._sent = max([self._sent, *(point["step"] for point in points)])

    def boundary(self, *_):
        """Sends the scores and samples of a task, and what could not be sent before; called after each task."""
        self.step()
        if not glob.glob(os.path.join(glob.escape(self._workdir), "eval", "task_*", "scores.json")):
            return  # the run ends in its first task
        for row in rows.read_rows(self._workdir):
            numbers = {f"scores/{name}/all": value for name, value in row.union.items()}
            for task, found in row.scores.items():
                numbers |= {f"scores/{name}/{task}": value for name, value in found.items()}
            shown = [
                (_name(key), float(value), row.step)
                for key, value in numbers.items()
                if key.split("/")[1] in scores.shown("terminal") and value is not None
            ]
            last = self._try(self._last, self._run, shown[-1][0]) if shown else row.step
            if last is not None and last >= row.step:
                continue
            if not self._send(shown):
                return  # rows are sent in order, so that the last step shows which of them mlflow has
            for picture in (name.format(row.after_task) for name in _PICTURES):
                if os.path.isfile(path := os.path.join(self._workdir, picture)):
                    self._try(self._client.log_artifact, self._run, path, os.path.dirname(picture))

    def end(self, finished):
        """Ends the mlflow run; `finished` says whether all tasks are learnt."""
        if self._run is not None:
            self.boundary()
            self._try(self._client.set_terminated, self._run, "FINISHED" if finished else "KILLED")

    def _send(self, numbers):
        """Sends (name, number, step) in parts; returns whether that worked."""
        now = int(1000 * time.time())
        metrics = [self._mlflow.entities.Metric(_name(key), value, now, step) for key, value, step in numbers]
        parts = [metrics[i : i + _MOST] for i in range(0, len(metrics), _MOST)]
        return (
            self._try(lambda: [self._client.log_batch(self._run, metrics=part) for part in parts]) is not None
        )

    def _try(self, call, *args):
        """Returns `call(*args)`, or None if mlflow fails: then a warning says so, and training goes on."""
        try:
            return call(*args)
        except (self._mlflow.MlflowException, OSError) as error:
            _log.warning("mlflow got nothing just now, and gets it later: %s", _line(error))
            return None


def _name(key):
    """Replaces the characters of a name that mlflow does not allow."""
    return re.sub(r"[^\w.\- /]", "_", key)


def _line(error):
    return " ".join(str(error).split())[:200]
