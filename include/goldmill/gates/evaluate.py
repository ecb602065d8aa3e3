"""Judge an audit profile by a suite: Great Expectations on three small tables."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from goldmill.gates.audit import read_audit
from goldmill.gates.docs import clear_site, page_path, write_pages
from goldmill.gates.engine import great_expectations, open_context
from goldmill.gates.result import ExpectationOutcome, GateResult
from goldmill.gates.suite import ExpectationEntry, Suite, load_suite, thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from goldmill.recipe import Recipe
    from goldmill.report import StageReport

# Rows shown with an expectation that fails: enough to look at, few enough to read.
EXAMPLES = 5


def evaluate(report: StageReport, audit_uri: str, recipe: Recipe, docs_dir: Path | None = None) -> GateResult:
    """Judge what a stage left, and build the Data Docs of the judgement.

    Args:
        report: the stage's report; it names the build and the snapshots that were audited.
        audit_uri: directory of the stage's audit profile.
        recipe: gives the thresholds and the budgets.
        docs_dir: directory of all Data Docs; this gate's are ``<docs_dir>/<build_id>/<stage>/``. None builds none.

    Returns:
        The result, passed or not; :meth:`GateResult.check` raises.

    Raises:
        AuditMissing: there is no audit profile.
        SuiteError: the stage's suite is malformed.
    """
    started = time.monotonic()
    tables = read_audit(audit_uri, recipe)
    suite = load_suite(report.stage, thresholds(recipe, len(tables["sample"])))
    site = None if docs_dir is None else clear_site(docs_dir, report.build_id, report.stage)
    page = None if docs_dir is None else page_path(docs_dir, report.build_id, report.stage)
    outcomes = _validate(suite, tables, report.build_id, site)
    result = GateResult(
        stage=report.stage,
        build_id=report.build_id,
        passed=all(outcome.passed for outcome in outcomes),
        snapshots=report.snapshots,
        recipe_digest=recipe.digest,
        suite_digest=suite.digest,
        evaluated_at=datetime.now(UTC),
        seconds=time.monotonic() - started,
        docs_uri=None if page is None else page.absolute().as_uri(),
        rows={table: len(frame) for table, frame in tables.items()},
        totals={column: _plain(value) for column, value in tables["totals"].dropna(axis=1).iloc[0].to_dict().items()},
        expectations=outcomes,
    )
    if docs_dir is not None:
        write_pages(docs_dir, result)
    return result


def _validate(
    suite: Suite, tables: Mapping[Any, pd.DataFrame], build_id: str, site: Path | None
) -> list[ExpectationOutcome]:
    """Validate each table by its expectations; build the Data Docs in the directory ``site``."""
    gx = great_expectations()
    context = open_context(site)
    source = context.data_sources.add_pandas(name=suite.stage)
    outcomes: list[ExpectationOutcome] = []
    for table, entry in suite.tables.items():
        expectations = gx.ExpectationSuite(
            name=f"{suite.stage}.{table}",
            expectations=[
                {
                    "type": expectation.type,
                    "kwargs": expectation.kwargs,
                    "meta": {"name": expectation.name, "notes": f"{expectation.description} {expectation.remedy}"},
                }
                for expectation in entry.expectations
            ],
        )
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(
                name=f"{suite.stage}.{table}",
                data=source.add_dataframe_asset(name=table).add_batch_definition_whole_dataframe(name="audit"),
                suite=context.suites.add(expectations),
            )
        )
        found: Any = definition.run(
            batch_parameters={"dataframe": tables[table]},
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": EXAMPLES,
                "unexpected_index_column_names": [column for column in entry.ids if column in tables[table]],
            },
            run_id=gx.RunIdentifier(run_name=build_id),
        )
        by_name = {result["expectation_config"]["meta"]["name"]: result for result in found.to_json_dict()["results"]}
        outcomes += [_outcome(table, tables[table], entry.ids, one, by_name[one.name]) for one in entry.expectations]
    if site is not None:
        context.build_data_docs()
        # Fonts, images and styles for pages that fetch the rest of them; ours have what they need within them.
        shutil.rmtree(site / "static", ignore_errors=True)
    return outcomes


def _outcome(
    table: str, frame: pd.DataFrame, ids: list[str], expectation: ExpectationEntry, found: Mapping[str, Any]
) -> ExpectationOutcome:
    kwargs = expectation.kwargs
    columns = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    return ExpectationOutcome(
        name=expectation.name,
        table=table,
        column=", ".join(columns),
        type=expectation.type,
        description=expectation.description,
        passed=found["success"],
        required=required_text(expectation),
        observed=_observed_text(found, frame, columns or kwargs.get("column_set", [])),
        examples=_examples(found, [*ids, *columns]),
        remedy=expectation.remedy,
    )


def required_text(expectation: ExpectationEntry) -> str:
    """What an expectation requires, in numbers."""
    kwargs = expectation.kwargs
    if "column_set" in kwargs:
        return f"columns {', '.join(kwargs['column_set'])}"
    if "column_A" in kwargs:
        return f"{kwargs['column_A']} {'>=' if kwargs.get('or_equal') else '>'} {kwargs['column_B']}"
    if "value_set" in kwargs:
        text = f"one of {', '.join(map(str, kwargs['value_set']))}"
    elif expectation.type.endswith("_be_unique"):
        text = "each value once"
    elif expectation.type.endswith("_not_be_null"):
        text = "a value in every row"
    else:
        text = _range_text(kwargs)
    share = kwargs.get("mostly", 1.0)
    return text if share >= 1.0 else f"{text}, in at least {100 * share:.4g} % of rows"


def _range_text(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None and low == high:
        return f"= {_number(low)}"
    bounds = []
    if low is not None:
        bounds.append(f"{'>' if kwargs.get('strict_min') else '>='} {_number(low)}")
    if high is not None:
        bounds.append(f"{'<' if kwargs.get('strict_max') else '<='} {_number(high)}")
    return " and ".join(bounds)


def _observed_text(found: Mapping[str, Any], frame: pd.DataFrame, columns: list[str]) -> str:
    missing = [column for column in columns if column not in frame]
    if missing:
        return f"no column {', '.join(missing)}"
    for problem in (found.get("exception_info") or {}).values():
        if isinstance(problem, dict) and problem.get("raised_exception"):
            return f"not evaluated: {problem['exception_message']}"
    result = found["result"]
    if "unexpected_count" in result and len(frame) != 1:
        # Rows that a condition leaves out are not among the elements.
        broken, rows = result["unexpected_count"], result["element_count"]
        return (
            f"{broken} of {rows} rows break it ({100 * broken / max(1, rows):.3g} %)" if broken else f"all {rows} rows"
        )
    if "unexpected_count" in result:
        return ", ".join(f"{column} {_number(frame[column].iloc[0])}" for column in columns)
    if found["success"] and len(columns) > 1:
        return "all of them"
    return _number(result.get("observed_value"))


def _examples(found: Mapping[str, Any], columns: list[str]) -> list[dict[str, Any]]:
    rows = found["result"].get("partial_unexpected_index_list") or []
    return [{column: _plain(row[column]) for column in columns if column in row} for row in rows[:EXAMPLES]]


def _plain(value: Any) -> Any:
    """Counts that stand beside missing values come as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Any) -> str:
    # A missing number is None in a result and NaN in a frame, which alone differs from itself.
    if value is None or value != value:
        return "no value"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
