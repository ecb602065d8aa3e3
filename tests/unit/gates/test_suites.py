"""Every expectation of every suite holds for a good audit profile, and fails for one that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gate_profiles import GOOD_METRICS, GOOD_SAMPLES, Rows, stage_report, write_audit

from goldmill.gates.evaluate import evaluate
from goldmill.gates.result import GATED_STAGES, ExpectationOutcome, GateFailed, GateResult
from goldmill.gates.suite import SuiteError, load_suite, parse_suite, thresholds
from goldmill.recipe import Recipe

Spoil = Callable[[Rows, Rows], None]


def judge(stage: str, recipe: Recipe, directory: Path, spoil: Spoil | None = None) -> GateResult:
    metrics, sample = copy.deepcopy(GOOD_METRICS[stage]), copy.deepcopy(GOOD_SAMPLES[stage])
    if spoil is not None:
        spoil(metrics, sample)
    audit_uri = write_audit(directory / "audit", metrics, sample)
    return evaluate(stage_report(stage), audit_uri, recipe)


def total(**values: Any) -> Spoil:
    """Change the row of all sources."""
    return lambda metrics, sample: metrics[-1].update(values)


def source(number: int, **values: Any) -> Spoil:
    """Change the row of one source."""
    return lambda metrics, sample: metrics[number].update(values)


def sampled(rows: list[int], **values: Any) -> Spoil:
    """Change sampled rows."""

    def spoil(metrics: Rows, sample: Rows) -> None:
        for row in rows:
            sample[row].update(values)

    return spoil


def without_total(column: str) -> Spoil:
    """Leave a column out of the metrics."""

    def spoil(metrics: Rows, sample: Rows) -> None:
        for row in metrics:
            row.pop(column, None)

    return spoil


def without_sampled(column: str) -> Spoil:
    """Leave a column out of the sample."""

    def spoil(metrics: Rows, sample: Rows) -> None:
        for row in sample:
            del row[column]

    return spoil


ID = [f"{number:032x}" for number in range(10)]

# A case: stage, what is spoilt, the expectation that must fail, how `observed` begins, one of the examples.
CASES: list[tuple[str, Spoil, str, str, dict[str, Any] | None]] = [
    ("refine", without_total("null_texts"), "totals_are_complete", "no column null_texts", None),
    ("refine", total(rows_in=0), "something_was_read", "0", None),
    ("refine", total(unbalanced_rows=7), "no_row_disappeared", "7", None),
    ("refine", total(unbalanced_rows=-1), "no_row_disappeared", "-1", None),
    ("refine", total(unbalanced_rows=None), "no_row_disappeared", "no value", None),
    ("refine", total(duplicate_document_ids=2), "document_ids_are_unique", "2", None),
    ("refine", total(null_texts=4), "every_document_has_text", "4", None),
    ("refine", source(1, source="books"), "source_is_counted_once", "2 of 2 rows", {"source": "books"}),
    (
        "refine",
        source(1, unbalanced_rows=None),
        "source_is_counted",
        "1 of 2 rows",
        {"source": "web", "unbalanced_rows": None},
    ),
    (
        "refine",
        source(0, unbalanced_rows=3),
        "no_row_of_a_source_disappeared",
        "1 of 2 rows",
        {"source": "books", "unbalanced_rows": 3},
    ),
    (
        "refine",
        source(1, quarantined_share=0.25),
        "failure_budget_is_kept",
        "1 of 2 rows",
        {"source": "web", "failure_budget": 0.2, "quarantined_share": 0.25},
    ),
    ("refine", source(1, quarantined_share=None), "failure_budget_is_kept", "1 of 2 rows", None),
    (
        "refine",
        source(0, contaminated_share=0.2),
        "contamination_is_rare",
        "1 of 2 rows",
        {"source": "books", "contaminated_share": 0.2},
    ),
    (
        "refine",
        sampled([6], residual_evaluation_ngrams=3),
        "no_evaluation_item_is_left",
        "1 of 10 rows",
        {"document_id": ID[6], "source": "books", "residual_evaluation_ngrams": 3},
    ),
    ("refine", without_sampled("residual_pii"), "sample_is_complete", "no column residual_pii", None),
    (
        "refine",
        sampled([3], document_id=ID[4]),
        "document_is_sampled_once",
        "2 of 10 rows",
        {"document_id": ID[4], "source": "books"},
    ),
    (
        "refine",
        sampled([3], kind="image"),
        "kind_is_known",
        "1 of 10 rows",
        {"document_id": ID[3], "source": "books", "kind": "image"},
    ),
    (
        "refine",
        sampled([4], language=None),
        "language_is_named",
        "1 of 5 rows",
        {"document_id": ID[4], "source": "books", "language": None},
    ),
    (
        "refine",
        sampled([4], language="fr"),
        "language_is_allowed",
        "1 of 5 rows",
        {"document_id": ID[4], "source": "books", "language": "fr"},
    ),
    (
        "refine",
        sampled([4], language_score=0.6),
        "language_is_certain",
        "1 of 5 rows",
        {"document_id": ID[4], "source": "books", "language_score": 0.6},
    ),
    (
        "refine",
        sampled([5], text_bytes=0),
        "length_is_in_range",
        "1 of 10 rows",
        {"document_id": ID[5], "source": "books", "text_bytes": 0},
    ),
    (
        "refine",
        sampled([5], text_bytes=2**26 + 1),
        "length_is_in_range",
        "1 of 10 rows",
        {"document_id": ID[5], "source": "books", "text_bytes": 2**26 + 1},
    ),
    ("refine", sampled([6], residual_pii=None), "personal_data_was_looked_for", "1 of 10 rows", None),
    (
        "refine",
        sampled([6], residual_pii=2),
        "no_personal_data_is_left",
        "1 of 10 rows",
        {"document_id": ID[6], "source": "books", "residual_pii": 2},
    ),
    ("refine", sampled([6], residual_secrets=None), "secrets_were_looked_for", "1 of 10 rows", None),
    (
        "refine",
        sampled([6], residual_secrets=1),
        "no_secret_is_left",
        "1 of 10 rows",
        {"document_id": ID[6], "source": "books", "residual_secrets": 1},
    ),
    ("deduplicate", without_total("dangling_matches"), "totals_are_complete", "no column dangling_matches", None),
    ("deduplicate", total(unbalanced_rows=7), "no_row_disappeared", "7", None),
    ("deduplicate", total(duplicate_document_ids=1), "document_ids_are_unique", "1", None),
    ("deduplicate", total(residual_exact_duplicates=1), "no_exact_duplicate_is_left", "1", None),
    ("deduplicate", total(dangling_matches=5), "every_duplicate_points_at_a_kept_document", "5", None),
    ("deduplicate", source(1, source="books"), "source_is_counted_once", "2 of 2 rows", {"source": "books"}),
    (
        "deduplicate",
        source(1, unbalanced_rows=None),
        "source_is_counted",
        "1 of 2 rows",
        {"source": "web", "unbalanced_rows": None},
    ),
    (
        "deduplicate",
        source(0, unbalanced_rows=3),
        "no_row_of_a_source_disappeared",
        "1 of 2 rows",
        {"source": "books", "unbalanced_rows": 3},
    ),
    (
        "deduplicate",
        source(1, loss_share=0.95),
        "loss_budget_is_kept",
        "1 of 2 rows",
        {"source": "web", "loss_budget": 0.5, "loss_share": 0.95},
    ),
    (
        "deduplicate",
        without_sampled("nearest_document_id"),
        "sample_is_complete",
        "no column nearest_document_id",
        None,
    ),
    ("deduplicate", sampled([3], document_id=ID[4]), "document_is_sampled_once", "2 of 10 rows", None),
    (
        "deduplicate",
        sampled([1, 2, 3], nearest_jaccard=0.8, nearest_document_id=ID[9]),
        "near_duplicates_are_rare",
        "3 of 10 rows",
        {"document_id": ID[1], "source": "books", "nearest_document_id": ID[9], "nearest_jaccard": 0.8},
    ),
    ("tokenize", without_total("vocab_size"), "totals_are_complete", "no column vocab_size", None),
    ("tokenize", total(unbalanced_rows=1), "no_document_disappeared", "1", None),
    ("tokenize", total(waste_share=0.07), "padding_is_rare", "waste_allowed 0.06, waste_share 0.07", None),
    ("tokenize", total(waste_share=None), "padding_is_rare", "waste_allowed 0.06, waste_share no value", None),
    ("tokenize", total(min_token_id=-1), "token_ids_are_not_negative", "-1", None),
    ("tokenize", total(max_token_id=300), "token_ids_are_in_the_vocabulary", "vocab_size 300, max_token_id 300", None),
    ("tokenize", total(wrong_length_sequences=2), "sequences_have_one_length", "2", None),
    ("tokenize", total(duplicate_sequence_ids=2), "sequence_ids_are_unique", "2", None),
    ("tokenize", total(documents_in_both_splits=2), "splits_are_disjoint", "2", None),
    ("tokenize", source(1, source="books"), "source_is_counted_once", "2 of 2 rows", {"source": "books"}),
    (
        "tokenize",
        source(1, unbalanced_rows=None),
        "source_is_counted",
        "1 of 2 rows",
        {"source": "web", "unbalanced_rows": None},
    ),
    (
        "tokenize",
        source(0, unbalanced_rows=3),
        "no_document_of_a_source_disappeared",
        "1 of 2 rows",
        {"source": "books", "unbalanced_rows": 3},
    ),
    ("tokenize", without_sampled("document_count"), "sample_is_complete", "no column document_count", None),
    (
        "tokenize",
        sampled([3], sequence_id=ID[4]),
        "sequence_is_sampled_once",
        "2 of 10 rows",
        {"sequence_id": ID[4], "split": "train"},
    ),
    ("tokenize", sampled([3], split="test"), "split_is_known", "1 of 10 rows", {"sequence_id": ID[3], "split": "test"}),
    (
        "tokenize",
        sampled([3], token_count=2049),
        "sequence_holds_tokens",
        "1 of 10 rows",
        {"sequence_id": ID[3], "split": "train", "token_count": 2049},
    ),
    ("tokenize", sampled([3], token_count=0), "sequence_holds_tokens", "1 of 10 rows", None),
    (
        "tokenize",
        sampled([3], document_count=0),
        "sequence_names_its_documents",
        "1 of 10 rows",
        {"sequence_id": ID[3], "split": "train", "document_count": 0},
    ),
]


@pytest.mark.parametrize("stage", GATED_STAGES)
def test_a_good_profile_passes(stage: str, recipe: Recipe, tmp_path: Path) -> None:
    result = judge(stage, recipe, tmp_path)
    assert result.failures == []
    assert result.passed
    result.check()


@pytest.mark.parametrize(
    ("stage", "spoil", "name", "observed", "example"),
    CASES,
    ids=[f"{case[0]}-{case[2]}-{i}" for i, case in enumerate(CASES)],
)
def test_a_spoilt_profile_fails_by_name(
    stage: str,
    spoil: Spoil,
    name: str,
    observed: str,
    example: dict[str, Any] | None,
    recipe: Recipe,
    tmp_path: Path,
) -> None:
    result = judge(stage, recipe, tmp_path, spoil)
    failed = {outcome.name: outcome for outcome in result.failures}
    assert name in failed
    outcome = failed[name]
    assert outcome.observed.startswith(observed)
    if example is not None:
        assert example in outcome.examples
    with pytest.raises(GateFailed) as raised:
        result.check()
    for part in (name, outcome.required, observed, outcome.remedy, *(str(v) for v in (example or {}).values())):
        assert part in str(raised.value)


def test_every_expectation_has_a_case_in_which_it_fails(recipe: Recipe) -> None:
    suites = {stage: load_suite(stage, thresholds(recipe, 10)) for stage in GATED_STAGES}
    named = {
        (stage, one.name)
        for stage, suite in suites.items()
        for table in suite.tables.values()
        for one in table.expectations
    }
    assert len(named) == 50
    assert {(stage, name) for stage, _, name, _, _ in CASES} == named


def test_one_missed_pair_is_no_failure_in_any_sample(recipe: Recipe, tmp_path: Path) -> None:
    result = judge("deduplicate", recipe, tmp_path, sampled([1, 2], nearest_jaccard=0.99))
    assert result.passed


def test_rules_that_are_off_are_not_judged(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "lenient",
            "language": {"enabled": False},
            "deduplicate": {"exact": False, "minhash": {"enabled": False}},
        }
    )
    refined = judge("refine", recipe, tmp_path, sampled([0, 2, 4], language="fr", language_score=0.1))
    assert refined.passed
    assert not {
        "language_is_named", "language_is_allowed", "language_is_certain", "contamination_is_rare",
        "no_evaluation_item_is_left",
    } & names(refined.expectations)  # fmt: skip
    alike = judge("deduplicate", recipe, tmp_path, sampled([0, 1, 2, 3], nearest_jaccard=1.0))
    assert alike.passed
    assert not {"no_exact_duplicate_is_left", "near_duplicates_are_rare"} & names(alike.expectations)


def test_any_language_may_be_allowed_and_still_needs_its_score(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "polyglot", "language": {"allowed": ["*"]}})
    result = judge("refine", recipe, tmp_path, sampled([4], language="fr", language_score=0.1))
    assert names(result.failures) == {"language_is_certain"}


def test_thresholds_come_from_the_recipe(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "own",
            "sources": {"web": {"failure_budget": 0.9, "loss_budget": 0.99}},
            "gates": {"max_residual_pii": 1, "min_expected_share": 0.8, "max_text_bytes": 1005},
        }
    )
    spoil = sampled([2], residual_pii=1)
    assert judge("refine", recipe, tmp_path, spoil).failures[0].required == ">= 1 and <= 1005, in at least 80 % of rows"
    assert judge("deduplicate", recipe, tmp_path, source(1, loss_share=0.95)).passed
    assert names(judge("refine", recipe, tmp_path, source(1, quarantined_share=0.85)).failures) == {
        "length_is_in_range"
    }


def test_a_suite_that_names_an_unknown_threshold_is_refused() -> None:
    suite = b"""
totals: {expectations: [{name: a, description: b, remedy: c, type: expect_x, kwargs: {min_value: "{mim_bytes}"}}]}
sources: {expectations: [{name: a, description: b, remedy: c, type: expect_x, kwargs: {}}]}
sample: {expectations: [{name: a, description: b, remedy: c, type: expect_x, kwargs: {}}]}
"""
    with pytest.raises(
        SuiteError, match=r"refine.yaml, expectation a: no threshold is called 'mim_bytes'; known: min_bytes"
    ):
        parse_suite("refine.yaml", suite, {"min_bytes": 1})


@pytest.mark.parametrize("content", [b"totals: [", b"totals: {}", b"[]"])
def test_a_malformed_suite_is_refused(content: bytes) -> None:
    with pytest.raises(SuiteError, match=r"mine\.yaml"):
        parse_suite("mine.yaml", content, {})


def test_a_stage_without_a_suite_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"'polish' has no suite.*deduplicate, refine, tokenize"):
        load_suite("polish", {})


def names(outcomes: list[ExpectationOutcome]) -> set[str]:
    return {outcome.name for outcome in outcomes}
