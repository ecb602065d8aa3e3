"""The pages of the gates: whole without a network, and whole when gates run side by side."""

from __future__ import annotations

import copy
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
from gate_profiles import BUILD, GOOD_METRICS, GOOD_SAMPLES, stage_report, write_audit

from goldmill.gates.audit import AuditMissing
from goldmill.gates.docs import write_pages
from goldmill.gates.evaluate import evaluate
from goldmill.recipe import Recipe


@pytest.fixture
def audit_uri(tmp_path: Path) -> str:
    sample = copy.deepcopy(GOOD_SAMPLES["refine"])
    sample[6].update(residual_pii=2, source="<script>alert(1)</script>")
    return write_audit(tmp_path / "audit", GOOD_METRICS["refine"], sample)


def test_pages_tell_what_failed_and_fetch_nothing(audit_uri: str, recipe: Recipe, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    result = evaluate(stage_report("refine"), audit_uri, recipe, docs)
    assert result.docs_uri == (docs / BUILD / "refine.html").as_uri()
    page = (docs / BUILD / "refine.html").read_text()
    for text in (
        "failed 1 of 22",
        "no_personal_data_is_left",
        "1 of 10 rows break it (10 %)",
        f"{6:032x}",
        "documents 11",
    ):
        assert text in page
    assert f'href="{BUILD}/refine.html"' in (docs / "index.html").read_text()
    pages = list(docs.rglob("*.html"))
    # The index, the gate, and of Great Expectations its index, three suites and three validations.
    assert len(pages) == 9
    for path in pages:
        text = path.read_text()
        assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text), path
        assert "<script>alert(1)</script>" not in text, path
        for link in re.findall(r'href="([^"#]+\.html)"', text):
            assert (path.parent / link).resolve().is_file(), (path, link)
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"audit", "docs"}


def test_an_attempt_replaces_the_pages_of_the_one_before(audit_uri: str, recipe: Recipe, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for _ in range(2):
        evaluate(stage_report("refine"), audit_uri, recipe, docs)
    assert len(list(docs.rglob("*.html"))) == 9


def test_gates_that_end_at_once_are_all_in_the_index(audit_uri: str, recipe: Recipe, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    result = evaluate(stage_report("refine"), audit_uri, recipe)
    results = [result.model_copy(update={"build_id": f"build{number:02}"}) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: write_pages(docs, one), results))
    index = (docs / "index.html").read_text()
    assert set(re.findall(r'href="(build\d\d)/refine\.html"', index)) == {one.build_id for one in results}
    assert index.rstrip().endswith("</html>")


def test_a_result_of_another_release_does_not_stop_the_index(audit_uri: str, recipe: Recipe, tmp_path: Path) -> None:
    old = tmp_path / "docs" / "old"
    old.mkdir(parents=True)
    (old / "refine.json").write_text('{"stage": "refine"}')
    evaluate(stage_report("refine"), audit_uri, recipe, tmp_path / "docs")
    index = (tmp_path / "docs" / "index.html").read_text()
    assert BUILD in index
    assert "old" not in index


def test_nothing_is_sent_anywhere(
    audit_uri: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        raise AssertionError(f"a gate opened a connection: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert evaluate(stage_report("refine"), audit_uri, recipe, tmp_path / "docs").expectations


def test_importing_the_engine_puts_off_what_no_gate_uses() -> None:
    program = (
        "import os, sys\n"
        "from goldmill.gates.engine import great_expectations, open_context\n"
        "great_expectations()\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'\n"
        "assert open_context(None).config.analytics_enabled is False\n"
        "assert 'pyspark' not in sys.modules and 'scipy.stats._stats_py' not in sys.modules\n"
        "from scipy import stats\n"
        "assert abs(stats.norm.cdf(0.0) - 0.5) < 1e-12  # and is there for who asks for it\n"
        "import pyspark\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_missing_profile_names_the_file_and_the_remedy(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(AuditMissing, match=r"metrics\.parquet does not exist; run the stage before its gate"):
        evaluate(stage_report("refine"), str(tmp_path), recipe)


def test_a_damaged_profile_names_the_file_and_the_remedy(audit_uri: str, recipe: Recipe) -> None:
    Path(audit_uri, "sample.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(AuditMissing, match=r"sample\.parquet is no Parquet file .* run the stage again"):
        evaluate(stage_report("refine"), audit_uri, recipe)


def test_a_profile_without_totals_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    audit_uri = write_audit(tmp_path, GOOD_METRICS["refine"][:1], GOOD_SAMPLES["refine"])
    with pytest.raises(AuditMissing, match=r"not exactly one row with source '\*'"):
        evaluate(stage_report("refine"), audit_uri, recipe)
