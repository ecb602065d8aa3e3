"""What benchmarks share."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_a_table_is_markdown_with_numbers_to_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    common = importlib.import_module("common")
    shown = common.table(
        ("stage", "rows", "seconds"), [("refine", 12345, 1.5), ("tokenize", 7, None), ("all", None, 1234.56)]
    )
    assert shown.splitlines() == [
        "| stage    |   rows | seconds |",
        "|----------|-------:|--------:|",
        "| refine   | 12,345 |    1.50 |",
        "| tokenize |      7 |       - |",
        "| all      |      - | 1,234.6 |",
    ]
