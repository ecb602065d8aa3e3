"""The gate as a task: what it reads and writes, how it fails, and what it tells lineage."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from gate_profiles import BUILD, GOOD_METRICS, GOOD_SAMPLES, stage_report, write_audit
from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType

from goldmill.errors import GoldmillError
from goldmill.gates.operator import DATA_DOCS_PREFIX, DataDocsLink, GateNotReady, GateOperator, local_path
from goldmill.gates.result import GateResult
from goldmill.lake.catalog import open_catalog
from goldmill.recipe import Recipe
from goldmill.settings import Settings, _load
from goldmill.spec import StageSpec

MakeStage = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("GOLDMILL_HOME", str(tmp_path))
    _load.cache_clear()
    yield Settings.load()
    _load.cache_clear()


@pytest.fixture
def make_stage(settings: Settings, recipe: Recipe) -> MakeStage:
    """Leaves the work area of a stage as its job does, and returns its URI."""

    def make(stage: str, *, secrets: int = 0, stale: bool = False) -> str:
        work_uri = settings.places.stage_uri(BUILD, stage)
        spec = StageSpec(
            stage=stage,
            build_id=BUILD,
            branch=f"build_{BUILD}",
            recipe=recipe,
            catalog=settings.catalog,
            landing_uri=settings.places.landing_uri,
            manifest_uri=f"{work_uri}/objects.jsonl",
            manifest_digest="0" * 64,
            input_bytes=1,
            work_uri=work_uri,
            tokenizers_uri=settings.places.tokenizers_uri("corpus"),
            exports_uri=settings.places.exports_uri("corpus", BUILD),
            lineage=settings.lineage,
            code_revision="0",
        )
        spec.write()
        spec_hash = "f" * 64 if stale else spec.spec_hash
        stage_report(stage).model_copy(update={"spec_hash": spec_hash}).write(spec.report_uri)
        sample = copy.deepcopy(GOOD_SAMPLES[stage])
        if secrets:
            sample[0].update(residual_secrets=secrets)
        write_audit(Path(spec.audit_uri), GOOD_METRICS[stage], sample)
        return work_uri

    return make


def gate(stage: str, work_uri: str) -> GateOperator:
    return GateOperator(task_id=f"gate_{stage}", stage=stage, work_uri=work_uri)


def test_a_passed_gate_returns_only_the_uri_of_its_result(
    make_stage: MakeStage, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    work_uri = make_stage("refine")
    operator = gate("refine", work_uri)
    with caplog.at_level(logging.INFO, logger="goldmill.gates.operator"):
        uri = operator.execute({})
    assert uri == f"{work_uri}/gate.json"
    result = GateResult.read(uri)
    assert result.passed
    assert result.snapshots == stage_report("refine").snapshots
    assert "pass  no_secret_is_left" in caplog.text
    link = DataDocsLink().get_link(operator, ti_key=None)  # type: ignore[arg-type]  # not looked at
    assert link.startswith(f"{DATA_DOCS_PREFIX}/")
    page = local_path(settings.places.data_docs_uri) / link.removeprefix(f"{DATA_DOCS_PREFIX}/")
    assert page.is_file()


def test_a_failed_gate_raises_with_ids_and_leaves_its_result(make_stage: MakeStage) -> None:
    work_uri = make_stage("refine", secrets=2)
    with pytest.raises(
        AirflowFailException, match=f"no_secret_is_left(.|\n)*document_id {0:032x}, source books, residual_secrets 2"
    ):
        gate("refine", work_uri).execute({})
    assert [outcome.name for outcome in GateResult.read(f"{work_uri}/gate.json").failures] == ["no_secret_is_left"]


def test_an_attempt_that_cannot_judge_leaves_no_older_result(make_stage: MakeStage) -> None:
    work_uri = make_stage("refine")
    operator = gate("refine", work_uri)
    operator.execute({})
    make_stage("refine", stale=True)
    with pytest.raises(GateNotReady, match=r"is of spec ffffffff, but the spec is .* run the stage again"):
        operator.execute({})
    assert not Path(local_path(work_uri), "gate.json").exists()
    assert DataDocsLink().get_link(operator, ti_key=None) == ""  # type: ignore[arg-type]  # not looked at
    assert operator.get_openlineage_facets_on_complete(None).inputs == []


def test_the_work_area_of_another_stage_is_refused(make_stage: MakeStage) -> None:
    with pytest.raises(GateNotReady, match=r"gate tokenize: .* holds the spec of stage refine"):
        gate("tokenize", make_stage("refine")).execute({})


@pytest.mark.parametrize(
    ("stage", "table"), [("refine", "documents"), ("deduplicate", "documents"), ("tokenize", "sequences")]
)
def test_lineage_gets_every_outcome_on_the_judged_table(
    stage: str, table: str, make_stage: MakeStage, settings: Settings
) -> None:
    local_path(settings.places.warehouse_uri).mkdir(parents=True)
    catalog = open_catalog(settings.catalog)
    catalog.create_namespace("corpus")
    iceberg = catalog.create_table(("corpus", table), Schema(NestedField(1, "build_id", StringType())))
    work_uri = make_stage(stage)
    operator = gate(stage, work_uri)
    result = GateResult.read(operator.execute({}))
    dataset: Any = operator.get_openlineage_facets_on_complete(None).inputs[0]
    assert dataset.namespace == "file"
    assert dataset.name == str(local_path(iceberg.location()))
    assertions = dataset.inputFacets["dataQualityAssertions"].assertions
    assert [one.name for one in assertions] == [one.name for one in result.expectations]
    assert all(one.success and one.expected and one.actual for one in assertions)
    metrics = dataset.inputFacets["dataQualityMetrics"]
    assert metrics.rowCount == (20 if stage == "tokenize" else 8)


def test_lineage_of_a_failed_gate_says_which_expectation_failed(make_stage: MakeStage, settings: Settings) -> None:
    local_path(settings.places.warehouse_uri).mkdir(parents=True)
    catalog = open_catalog(settings.catalog)
    catalog.create_namespace("corpus")
    catalog.create_table(("corpus", "documents"), Schema(NestedField(1, "build_id", StringType())))
    operator = gate("refine", make_stage("refine", secrets=2))
    with pytest.raises(AirflowFailException):
        operator.execute({})
    dataset: Any = operator.get_openlineage_facets_on_complete(None).inputs[0]
    failed = [one for one in dataset.inputFacets["dataQualityAssertions"].assertions if not one.success]
    assert [(one.name, one.column, one.severity) for one in failed] == [
        ("no_secret_is_left", "residual_secrets", "error")
    ]


def test_data_docs_need_a_directory() -> None:
    with pytest.raises(GoldmillError, match=r"places\.data_docs_uri is s3://bucket/docs: Data Docs need a directory"):
        local_path("s3://bucket/docs")


def test_a_dag_file_that_imports_the_operator_loads_neither_pandas_nor_great_expectations() -> None:
    program = (
        "import sys, goldmill.gates.operator\n"
        "heavy = {'pandas', 'great_expectations', 'pyiceberg'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
