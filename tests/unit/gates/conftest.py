"""What the tests of the gates share."""

from __future__ import annotations

import pytest

from goldmill.recipe import Recipe, SourceRules
from goldmill.rules.decontamination import DecontaminationRules, EvaluationSet


@pytest.fixture
def recipe() -> Recipe:
    """The default thresholds, with budgets that the good profiles keep, and an evaluation set."""
    return Recipe(
        name="gates",
        other_sources=SourceRules(loss_budget=0.5, failure_budget=0.2),
        decontaminate=DecontaminationRules(sets={"arc": EvaluationSet(path="arc.jsonl")}),
    )
