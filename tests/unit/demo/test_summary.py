"""What failed is told from the task's log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from goldmill.demo.progress import BuildProgress, TaskProgress, plain_line
from goldmill.demo.summary import failure_reasons

if TYPE_CHECKING:
    from pathlib import Path


def test_reasons_are_the_last_errors_and_the_output_of_spark(tmp_path: Path) -> None:
    records = [
        {"level": "info", "logger": "task", "event": "start"},
        {"level": "info", "logger": "hooks.SparkSubmitHook", "event": "RecipeError: no tokenizer"},
        {"level": "error", "event": "failed", "error_detail": [{"exc_type": "ValueError", "exc_value": "bad"}]},
        {"level": "error", "event": "failed", "error_detail": [{"exc_type": "ValueError", "exc_value": "bad"}]},
    ]
    log = tmp_path / "attempt=1.log"
    log.write_text("plain text\n" + "\n".join(json.dumps(record) for record in records))
    assert failure_reasons(log) == ["RecipeError: no tokenizer", "ValueError: bad"]
    assert failure_reasons(tmp_path / "missing.log") == []


def test_a_run_whose_clean_up_succeeded_has_failed_all_the_same() -> None:
    failed = TaskProgress("refine_documents", "failed", 3, 1.0)
    undone = TaskProgress("abandon_build", "success", 1, 1.0)
    assert BuildProgress("run", "id", "success", 2.0, [failed, undone]).has_failed
    assert not BuildProgress("run", "id", "success", 2.0, [undone]).has_failed
    assert not BuildProgress("run", "id", "running", 2.0, [failed]).has_failed


def test_a_line_tells_documents_speed_and_time() -> None:
    task = TaskProgress("refine_documents", "running", 1, 10.0, "read", 1234, 20_000_000, 60_000_000)
    line = plain_line(task)
    for part in ("refine_documents", "read", "1,234 documents", "20.0 of 60.0 MB", "2.0 MB/s", "10 s"):
        assert part in line
