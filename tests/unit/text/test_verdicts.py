"""The verdicts shared by all rule families."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldmill.text.verdicts import Check, Verdicts


def test_the_first_broken_rule_in_order_is_reported_with_its_numbers() -> None:
    checks = [
        Check("a", np.array([1.0, 2.0, 3.0]), np.array([False, True, False]), 1.5),
        Check("b", np.array([4, 5, 6]), np.array([False, True, True]), np.array([0.0, 1.0, 5.5])),
    ]
    verdicts = Verdicts.first(checks, 3)
    assert verdicts.rule.to_pylist() == [None, "a", "b"]
    assert verdicts.score.to_pylist() == [None, 2.0, 6.0]
    assert verdicts.threshold.to_pylist() == [None, 1.5, 5.5]
    assert verdicts.passed.to_pylist() == [True, False, False]


def test_types_hold_for_no_documents_and_no_checks() -> None:
    for verdicts in (Verdicts.first([], 0), Verdicts.first([], 2), Verdicts.passing(2)):
        assert verdicts.rule.type == pa.string()
        assert verdicts.score.type == pa.float64()
        assert verdicts.threshold.type == pa.float64()
        assert verdicts.rule.null_count == len(verdicts)


def test_a_check_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"rule short.*2 documents"):
        Verdicts.first([Check("short", np.zeros(1), np.zeros(1, dtype=bool), 0.0)], 2)


def test_verdicts_of_different_batches_do_not_join() -> None:
    with pytest.raises(ValueError, match=r"lengths \[1, 2\]"):
        Verdicts.choose(Verdicts.passing(1), Verdicts.passing(2))


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_joining_families_equals_judging_them_at_once(masks: list[list[bool]]) -> None:
    checks = [
        Check(f"rule{index}", np.arange(4.0) + index, np.array(mask), float(index)) for index, mask in enumerate(masks)
    ]
    together = Verdicts.first(checks, 4)
    joined = Verdicts.choose(*(Verdicts.first([check], 4) for check in checks))
    assert joined == together
