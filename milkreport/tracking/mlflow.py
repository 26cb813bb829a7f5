"""MLflow: a run for each suite, within it a run for each training, at the server that the user names.

A run that is taken up again goes on in the MLflow runs that it began: tags tell them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from milkreport.errors import EnvironmentProblem
from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.execution.tasks import Study, Task
from milkreport.runs.cells import cell_folder
from milkreport.runs.manifest import Manifest
from milkreport.tracking.names import cell_settings, curve_points, final_metrics, history

_RUN_TAG, _CELL_TAG = "milkreport.run", "milkreport.cell"
_EXPERIMENT = "milkreport"
_BATCH = 100  # parameters, and tags, that a request may hold
_LONGEST = 500  # characters of a value that every store takes
#: Files of a training that go along; predictions, which name cases, stay.
_CELL_FILES = ("history.csv", "model.json", "cell.json")


class MLflow:
    """Logs to the server, or store, at *uri*; see :class:`milkreport.tracking.tracker.Tracker`."""

    name = "MLflow"

    def __init__(self, uri: str) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before the import, or it is too late
        # The library's own patience is minutes; ours is one more try.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
        except ImportError as error:
            raise EnvironmentProblem(
                "--mlflow needs mlflow", 'pip install "milkreport[mlflow]"'
            ) from error
        self._client, self._metric, self._param = MlflowClient(uri), Metric, Param
        self._experiment = ""
        self._studies: dict[str, Study] = {}
        self._parents: dict[str, str] = {}
        self._runs: dict[Task, str] = {}
        self._logged: dict[Task, int] = {}  # epochs that the server has
        self._open: set[str] = set()

    def study(self, study: Study, manifest: Manifest) -> None:
        """Open the suite's run, with its settings as parameters."""
        if not self._experiment:
            known = self._client.get_experiment_by_name(_EXPERIMENT)
            self._experiment = (
                known.experiment_id if known else self._client.create_experiment(_EXPERIMENT)
            )
        self._studies[study.name] = study
        identity = f"{manifest.suite_sha256[:16]} {manifest.data_sha256[:16]} {manifest.started}"
        name = f"{study.suite.name} {study.name}".strip()
        facts = {
            "data": study.prepared.cases.card.name,
            "synthetic": str(study.prepared.cases.card.synthetic),
            "milkreport": manifest.milkreport,
            "commit": manifest.commit or "",
            "device": manifest.device_name,
        }
        self._parents[study.name] = self._take_up(
            name, {_RUN_TAG: identity}, facts, study.suite.flat()
        )

    def epoch(self, task: Task, epoch: int, row: dict[str, float]) -> None:
        """A point on every curve of the training's run."""
        run = self._run(task)
        if epoch <= self._logged[task]:
            return  # before the run was interrupted, with the same values
        now = _now()
        points = [self._metric(tag, value, now, epoch) for tag, value in curve_points(row)]
        self._client.log_batch(run, metrics=points)
        self._logged[task] = epoch

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """What the training cost, its files, and how it ended."""
        study = self._studies[task.study]
        if skipped and self._find(_CELL_TAG, self._identity(task)):
            return
        run = self._run(task)
        if record.status != "complete":
            self._client.set_tag(run, "failure", record.message[:_LONGEST])
            self._close(run, "FAILED")
            return
        if skipped:  # it was trained without MLflow
            for epoch, row in history(study, task):
                self.epoch(task, epoch, row)
        self._client.log_metric(run, "seconds", record.seconds or 0.0)
        self._client.log_metric(run, "epoch_used", float(record.epoch_used or 0))
        folder = cell_folder(study.out, task.cell).path
        for name in (*_CELL_FILES, record.weights_file):
            self._client.log_artifact(run, str(folder / name))
        self._close(run, "FINISHED")

    def finish(self, study: str, results: Results, files: Sequence[Path]) -> None:
        """The results of all seeds and folds together, and the report."""
        run = self._parents[study]
        metrics = [self._metric(tag, value, _now(), 0) for tag, value in final_metrics(results)]
        self._client.log_batch(run, metrics=metrics)
        for path in files:
            if path.is_file():
                self._client.log_artifact(run, str(path))
        self._close(run, "FINISHED" if results.status == "complete" else "FAILED")

    def close(self) -> None:
        """What was not finished was stopped."""
        for run in list(self._open):
            self._close(run, "KILLED")

    def _run(self, task: Task) -> str:
        """The training's run, made or found when it is first reported."""
        if task not in self._runs:
            tags = {_CELL_TAG: self._identity(task)}
            parent = {"mlflow.parentRunId": self._parents[task.study]}
            settings = cell_settings(self._studies[task.study], task)
            run = self._runs[task] = self._take_up(str(task), tags, parent, settings)
            known = self._client.get_metric_history(run, "loss/train")
            self._logged[task] = max((point.step for point in known), default=0)
        return self._runs[task]

    def _identity(self, task: Task) -> str:
        return f"{self._parents[task.study]} {self._studies[task.study].key(task.cell)}"

    def _take_up(
        self, name: str, identity: dict[str, str], tags: dict[str, str], settings: Mapping[str, Any]
    ) -> str:
        """The run of that identity; a new one gets its tags and parameters."""
        ((tag, value),) = identity.items()
        run = self._find(tag, value)
        if run is not None:
            self._client.update_run(run, status="RUNNING")
        else:
            created = self._client.create_run(self._experiment, run_name=name, tags=identity | tags)
            run = str(created.info.run_id)
            params = [self._param(key, str(text)[:_LONGEST]) for key, text in settings.items()]
            for start in range(0, len(params), _BATCH):
                self._client.log_batch(run, params=params[start : start + _BATCH])
        self._open.add(run)
        return run

    def _find(self, tag: str, value: str) -> str | None:
        found = self._client.search_runs([self._experiment], f"tags.`{tag}` = '{value}'")
        return str(found[0].info.run_id) if found else None

    def _close(self, run: str, status: str) -> None:
        self._client.set_terminated(run, status)
        self._open.discard(run)


def _now() -> int:
    """Milliseconds since 1970: MLflow orders points by them."""
    return time.time_ns() // 1_000_000
