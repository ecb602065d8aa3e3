"""The task that judges what a stage left before the build goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator, BaseOperatorLink

from goldmill.errors import GoldmillError
from goldmill.gates.result import GateFailed, GateResult
from goldmill.storage import delete, exists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from goldmill.spec import StageSpec

log = logging.getLogger(__name__)

DATA_DOCS_PREFIX = "/goldmill/data-docs"
"""Where the plugin of the bundle serves the Data Docs."""

# The table that the expectations of a stage are about, for lineage.
_JUDGED = {"refine": "documents", "deduplicate": "documents", "tokenize": "sequences"}


class DataDocsLink(BaseOperatorLink):
    """Button on the task that leads to the gate's page."""

    name = "Data Docs"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Where the plugin serves the page of this attempt; empty where the gate ended before it was written.

        Not the address of the file: a browser follows no ``file:`` link from a page of a server.
        """
        from goldmill.settings import Settings

        uri = result_uri(getattr(operator, "work_uri", ""))
        docs_uri = GateResult.read(uri).docs_uri if exists(uri) else None
        if docs_uri is None:
            return ""
        page = local_path(docs_uri).relative_to(local_path(Settings.load().places.data_docs_uri))
        return f"{DATA_DOCS_PREFIX}/{page}"


class GateOperator(BaseOperator):
    """Judge a stage by its suite of expectations; fail when one does not hold.

    Reads the stage's spec, report and audit profile under ``work_uri``; writes ``gate.json`` there, and the Data Docs
    where the settings say. Returns the URI of ``gate.json``.

    Args:
        stage: ``refine``, ``deduplicate`` or ``tokenize``.
        work_uri: work area of the stage. Templated.
        **arguments: arguments of every operator.
    """

    template_fields: Sequence[str] = ("work_uri",)
    operator_extra_links = (DataDocsLink(),)
    ui_color = "#e5f3e8"

    def __init__(self, *, stage: str, work_uri: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.stage = stage
        self.work_uri = work_uri

    def execute(self, context: Context) -> str:
        """Judge the stage.

        Raises:
            AirflowFailException: an expectation does not hold; names it, with numbers, example ids and the remedy.
            AuditMissing: the stage has left no audit profile.
            GateNotReady: the work area is of another stage, or the report of another spec than the stage's present one.
        """
        # Late: a DAG file imports this module at every parse, and these import pandas and Great Expectations.
        from goldmill.gates.evaluate import evaluate
        from goldmill.report import StageReport
        from goldmill.settings import Settings
        from goldmill.spec import StageSpec

        uri = result_uri(self.work_uri)
        # What an earlier attempt found must not pass for what this one finds.
        delete(uri)
        spec = StageSpec.read(f"{self.work_uri}/spec.json")
        report = StageReport.read(spec.report_uri)
        _check_match(self.stage, spec, report.stage, report.spec_hash)
        docs_dir = local_path(Settings.load().places.data_docs_uri)
        result = evaluate(report, spec.audit_uri, spec.recipe, docs_dir)
        result.write(uri)
        log.info(
            "gate %s of build %s: %s; %d expectations, %.1f s; %s\n%s",
            result.stage, result.build_id, "passed" if result.passed else "FAILED", len(result.expectations),
            result.seconds, result.docs_uri, result.as_table(),
        )  # fmt: skip
        try:
            result.check()
        except GateFailed as failed:
            # A verdict over the same branch does not change: no retry.
            raise AirflowFailException(str(failed)) from failed
        return uri

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The outcome of each expectation, on the table that was judged; also called when the task failed."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from goldmill.gates.lineage import judged_dataset
        from goldmill.lake.catalog import load_tables, open_catalog
        from goldmill.settings import Settings
        from goldmill.spec import StageSpec

        uri = result_uri(self.work_uri)
        if not exists(uri):  # the gate ended before it could judge
            return OperatorLineage()
        spec = StageSpec.read(f"{self.work_uri}/spec.json")
        tables = load_tables(open_catalog(Settings.load().catalog), spec.recipe.corpus)
        locations = {table.name: iceberg.location() for table, iceberg in tables.items()}
        judged = _JUDGED[self.stage]
        if judged not in locations:
            return OperatorLineage()
        return OperatorLineage(inputs=[judged_dataset(GateResult.read(uri), locations[judged])])


class GateNotReady(GoldmillError):
    """A gate was started before its stage has done its work."""


def result_uri(work_uri: str) -> str:
    """Where a gate writes its result, given the work area of its stage."""
    return f"{work_uri}/gate.json"


def local_path(uri: str) -> Path:
    """The directory that a path or a ``file:`` URI names.

    Raises:
        GoldmillError: it is on an object store; Data Docs are files that are written in place.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise GoldmillError(
            f"setting places.data_docs_uri is {uri}: Data Docs need a directory; name one, for example a mounted bucket"
        )
    return Path(unquote(parts.path) if parts.scheme else uri)


def _check_match(stage: str, spec: StageSpec, reported_stage: str, reported_hash: str) -> None:
    if not stage == spec.stage == reported_stage:
        raise GateNotReady(
            f"gate {stage}: the work area {spec.work_uri} holds the spec of stage {spec.stage} and the report of stage "
            f"{reported_stage}; give the gate the work area of its own stage"
        )
    if reported_hash != spec.spec_hash:
        raise GateNotReady(
            f"gate {stage} of build {spec.build_id}: the report {spec.report_uri} is of spec {reported_hash[:8]}, but "
            f"the spec is {spec.spec_hash[:8]} now; run the stage again before its gate"
        )
