"""What publishing rests on: results that are read back whole, and the check that all gates saw the branch as it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gate_profiles import BUILD, SNAPSHOTS

from goldmill.gates.result import (
    GATED_STAGES,
    ExpectationOutcome,
    GateFailed,
    GateResult,
    NotGated,
    assert_gates_passed,
)


def outcome(*, passed: bool = True) -> ExpectationOutcome:
    return ExpectationOutcome(
        name="no_secret_is_left",
        table="sample",
        column="residual_secrets",
        type="expect_column_values_to_be_between",
        description="No secret is left.",
        passed=passed,
        required="= 0",
        observed="all 10 rows" if passed else "1 of 10 rows break it (10 %)",
        examples=[] if passed else [{"document_id": "ab12", "residual_secrets": 1}],
        remedy="Add the form.",
    )


def result(
    stage: str, *, passed: bool = True, build_id: str = BUILD, snapshots: dict[str, int] = SNAPSHOTS
) -> GateResult:
    return GateResult(
        stage=stage,
        build_id=build_id,
        passed=passed,
        snapshots=snapshots,
        recipe_digest="0" * 64,
        suite_digest="0" * 64,
        evaluated_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=0.5,
        docs_uri="file:///docs/refine.html",
        rows={"totals": 1, "sources": 2, "sample": 10},
        totals={"rows_out": 16},
        expectations=[outcome(passed=passed)],
    )


def test_a_branch_that_every_gate_passed_may_be_published() -> None:
    earlier = {"documents": 1}
    results = [result("refine", snapshots=earlier), result("deduplicate", snapshots=earlier), result("tokenize")]
    assert_gates_passed(results, BUILD, SNAPSHOTS)


@pytest.mark.parametrize("stage", GATED_STAGES)
def test_a_missing_result_refuses(stage: str) -> None:
    results = [result(other) for other in GATED_STAGES if other != stage]
    with pytest.raises(
        NotGated, match=f"one result of each gate .* results of {results[0].stage}, {results[1].stage};"
    ):
        assert_gates_passed(results, BUILD, SNAPSHOTS)


def test_no_result_at_all_refuses() -> None:
    with pytest.raises(NotGated, match="results of none"):
        assert_gates_passed([], BUILD, SNAPSHOTS)


def test_a_result_that_comes_twice_refuses() -> None:
    with pytest.raises(NotGated, match="one result of each gate"):
        assert_gates_passed([*(result(stage) for stage in GATED_STAGES), result("refine")], BUILD, SNAPSHOTS)


@pytest.mark.parametrize("stage", GATED_STAGES)
def test_a_failed_gate_refuses_with_its_reason(stage: str) -> None:
    results = [result(other, passed=other != stage) for other in GATED_STAGES]
    with pytest.raises(GateFailed, match=rf"gate {stage} of build {BUILD}: 1 of 1(.|\n)*no_secret_is_left(.|\n)*ab12"):
        assert_gates_passed(results, BUILD, SNAPSHOTS)


def test_a_result_of_another_build_refuses() -> None:
    results = [result("refine"), result("deduplicate", build_id="ffff"), result("tokenize")]
    with pytest.raises(NotGated, match="gate deduplicate is of build ffff"):
        assert_gates_passed(results, BUILD, SNAPSHOTS)


@pytest.mark.parametrize(
    "heads",
    [
        {**SNAPSHOTS, "documents": 99},
        {table: snapshot for table, snapshot in SNAPSHOTS.items() if table != "documents"},
    ],
)
def test_a_branch_that_moved_after_its_audit_refuses(heads: dict[str, int]) -> None:
    with pytest.raises(NotGated, match=r"table documents of the branch is at snapshot (99|None), but .* audited 11"):
        assert_gates_passed([result(stage) for stage in GATED_STAGES], BUILD, heads)


def test_a_table_that_no_gate_audited_refuses() -> None:
    with pytest.raises(NotGated, match=r"table frames .* audited None"):
        assert_gates_passed([result(stage) for stage in GATED_STAGES], BUILD, {**SNAPSHOTS, "frames": 5})


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    uri = str(tmp_path / "gate.json")
    written = result("refine", passed=False)
    written.write(uri)
    assert GateResult.read(uri) == written
    document = json.loads(Path(uri).read_text())
    assert set(document) == set(GateResult.model_json_schema()["required"])
    assert document["expectations"][0]["examples"] == [{"document_id": "ab12", "residual_secrets": 1}]


def test_the_table_for_the_log_has_a_line_an_expectation() -> None:
    lines = result("refine", passed=False).as_table().splitlines()
    assert [line.split()[0] for line in lines] == ["expectation", "FAIL"]
    assert "1 of 10 rows break it (10 %)" in lines[1]
