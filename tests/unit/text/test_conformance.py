"""The decisions that `make conformance` recorded when the toolkits' own packages had made the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
from goldmill.rules.variants import VARIANTS
from goldmill.text.c4 import clean_c4_lines
from goldmill.text.quality import count_for, judge_prose

RECORDED = json.loads((Path(__file__).parent / "data" / "conformance.json").read_text())
RULES: dict[str, Any] = {
    "gopher_repetition": GopherRepetitionRules,
    "gopher_quality": GopherQualityRules,
    "c4": C4Rules,
    "fineweb": FineWebRules,
}


@pytest.mark.parametrize("key", [f"{family}@{variant}" for family in VARIANTS for variant in VARIANTS[family]])
def test_recorded_decisions(key: str) -> None:
    family, _, variant = key.partition("@")
    rules = RULES[family](variant=variant)
    texts = pa.array([document["text"] for document in RECORDED["documents"]])
    counters = clean_c4_lines(texts, rules).counters if family == "c4" else count_for(texts, rules)
    reasons = [reason and reason.partition(":")[2] for reason in judge_prose(counters, rules).rule.to_pylist()]
    expected = {document["name"]: document["reasons"][key] for document in RECORDED["documents"]}
    assert dict(zip(expected, reasons, strict=True)) == expected
    assert None in reasons
    assert len(set(reasons)) > 2
