"""What the tests of the gates share."""

from __future__ import annotations

import pytest

from goldmill.recipe import Recipe, SourceRules


@pytest.fixture
def recipe() -> Recipe:
    """The default thresholds, with budgets that the good profiles keep."""
    return Recipe(name="gates", other_sources=SourceRules(loss_budget=0.5, failure_budget=0.2))
