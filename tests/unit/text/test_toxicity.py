"""Toxicity by word list and by a classifier of the reader's own."""

from __future__ import annotations

import sys
import types

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from goldmill.rules.safety import ToxicityRules
from goldmill.text import word_lists
from goldmill.text.toxicity import judge_toxicity, word_shares

LISTED = sorted(word_lists.read("toxic_words.txt"))


@pytest.fixture
def classifiers(monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable module with classifiers, as a user's package would be; its name differs from test to test."""
    name = f"their_classifiers_{id(monkeypatch)}"
    module = types.ModuleType(name)

    def by_length(texts: pa.Array) -> pa.Array:
        return pa.array([min(1.0, len(text) / 10) for text in texts.to_pylist()])

    module.by_length = by_length  # type: ignore[attr-defined]
    module.too_few = lambda texts: pa.array([0.5] * (len(texts) - 1))  # type: ignore[attr-defined]
    module.too_high = lambda texts: pa.array([1.5] * len(texts))  # type: ignore[attr-defined]
    module.a_number = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    return name


def test_a_document_of_insults_is_removed_with_its_share_and_the_limit() -> None:
    texts = pa.array(["you shit, you FUCKING asshole", "a quiet day", "He said “shit” once in a long story. " * 3])
    scores, verdicts = judge_toxicity(texts, ToxicityRules())
    assert scores.to_pylist() == pytest.approx([3 / 5, 0.0, 1 / 8])
    assert verdicts.rule.to_pylist() == ["toxicity:word_share", None, "toxicity:word_share"]
    assert verdicts.score.to_pylist()[0] == pytest.approx(3 / 5)
    assert verdicts.threshold.to_pylist() == [0.045, None, 0.045]


def test_few_listed_words_do_not_remove_a_document() -> None:
    _, verdicts = judge_toxicity(pa.array(["oh shit", "oh shit shit"]), ToxicityRules())
    assert verdicts.rule.to_pylist() == [None, None]
    _, verdicts = judge_toxicity(pa.array(["oh shit"]), ToxicityRules(min_matches=1))
    assert verdicts.rule.to_pylist() == ["toxicity:word_share"]


@pytest.mark.parametrize("text", ["Scunthorpe", "shiitake", "shit_list", "élfuck", "fuckú", "Mishits", "xблядь"])
def test_a_listed_word_inside_another_word_is_no_match(text: str) -> None:
    assert word_shares(pa.array([text]))[1].tolist() == [0]


@pytest.mark.parametrize("text", ["Arschlöcher!", "«ПИЗДА»", "un connard.", "mierda", "SHIT-storm"])
def test_words_match_in_any_case_and_beside_punctuation(text: str) -> None:
    assert word_shares(pa.array([text]))[1].tolist() == [1]


def test_nothing_matches_across_two_documents() -> None:
    assert word_shares(pa.array(["sh", "it", ""]))[1].tolist() == [0, 0, 0]


def test_slices_large_strings_and_empty_batches() -> None:
    texts = pa.array(["shit", "fine", "shit shit"], pa.large_string())
    assert word_shares(texts.slice(1))[1].tolist() == [0, 2]
    scores, verdicts = judge_toxicity(pa.array([], pa.string()), ToxicityRules())
    assert (len(scores), len(verdicts), scores.type) == (0, 0, pa.float64())


def test_a_null_text_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="row 1 is null"):
        judge_toxicity(pa.array(["a", None]), ToxicityRules())


def test_switched_off_keeps_everything() -> None:
    scores, verdicts = judge_toxicity(pa.array(["shit " * 10]), ToxicityRules(enabled=False))
    assert scores.to_pylist() == [0.0]
    assert verdicts.passed.to_pylist() == [True]


def test_a_classifier_scores_and_removes(classifiers: str) -> None:
    rules = ToxicityRules(classifier=f"{classifiers}:by_length", max_score=0.5)
    scores, verdicts = judge_toxicity(pa.array(["abc", "abcdefg", "shit shit shit"]), rules)
    assert scores.to_pylist() == pytest.approx([0.3, 0.7, 1.0])
    assert verdicts.rule.to_pylist() == [None, "toxicity:classifier", "toxicity:word_share"]
    assert verdicts.threshold.to_pylist() == [None, 0.5, 0.045]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("too_few", r"returned shape \(1,\) for 2 texts"),
        ("too_high", "values outside 0 to 1"),
        ("missing", "cannot be imported"),
        ("a_number", "not callable"),
    ],
)
def test_a_classifier_that_breaks_its_contract_is_named(classifiers: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_toxicity(pa.array(["a", "b"]), ToxicityRules(classifier=f"{classifiers}:{name}"))


def test_a_missing_module_is_named() -> None:
    with pytest.raises(ValueError, match="no_such_module:score cannot be imported"):
        judge_toxicity(pa.array(["a"]), ToxicityRules(classifier="no_such_module:score"))


@pytest.mark.parametrize("path", ["module", "module:", ":name", "a b:c", "a.b.c"])
def test_a_classifier_path_of_the_wrong_form_is_refused_at_once(path: str) -> None:
    with pytest.raises(ValidationError, match=r"toxicity\.classifier"):
        ToxicityRules(classifier=path)


@given(st.lists(st.lists(st.one_of(st.sampled_from(LISTED), st.sampled_from(["day", "sun", "Über"])), max_size=8)))
def test_the_share_is_the_number_of_listed_words_over_all_words(documents: list[list[str]]) -> None:
    shares, matches = word_shares(pa.array([" ".join(words) for words in documents], pa.string()))
    listed = [sum(word in LISTED for word in words) for words in documents]
    assert matches.tolist() == listed
    assert np.allclose(shares, [count / max(1, len(words)) for count, words in zip(listed, documents, strict=True)])
