"""Contests: who is measured, what counts, and what is refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def contest(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "bench")
    return importlib.import_module("contest")


@pytest.fixture
def corpora(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "bench")
    return importlib.import_module("corpora")


def turns(contest: ModuleType, wall: list[float], megabytes: float = 8.0) -> Any:
    """Turns of two workers that share a corpus."""
    workers = [{"bytes": megabytes * 5e5, "documents": 10, "versions": {}, "result": {"rows": 1}}] * 2
    return contest.Turns(wall=wall, cpu=[2 * w for w in wall], peak_bytes=[2**20] * len(wall), workers=workers)


MODULE = SimpleNamespace(STAGE="s", CORPUS="text", UNIT="MB/s/core", BARS={"peer": 4.0, "sized@230": 10.0})


def test_medians_of_wall_seconds_by_core_make_the_ratio(contest: ModuleType) -> None:
    held = {"ours": turns(contest, [1.0, 1.0, 30.0]), "peer": turns(contest, [5.0, 4.0, 3.0])}
    (entry,) = contest._results(MODULE, held, None, {})
    assert (entry["ours_mb_s"], entry["peer_mb_s"], entry["ours_docs_s"]) == (4.0, 1.0, 10.0)
    assert (entry["ratio"], entry["bar"], entry["met"]) == (4.0, 4.0, True)
    assert entry["ours_cpu_mb_s"] == 4.0
    assert entry["megabytes"] == 8.0


def test_a_bar_may_count_for_one_size(contest: ModuleType) -> None:
    held = {"ours": turns(contest, [1.0]), "sized": turns(contest, [5.0])}
    assert [contest._results(MODULE, held, size, {})[0]["met"] for size in (230.0, 23.0, None)] == [False, None, None]


def test_every_contest_keeps_to_the_contract(contest: ModuleType) -> None:
    for stage in contest.stages():
        module = contest.contest(stage)
        assert stage == module.STAGE
        assert module.CORPUS in contest.corpora.CONTENT
        assert module.UNIT in {"MB/s/core", "docs/s/core"}
        assert {bar.partition("@")[0] for bar in module.BARS} <= set(list(module.CONTESTANTS)[1:])
        assert (module.__doc__ or "").strip()


def test_the_table_goes_between_its_marks_and_other_contests_stay(
    contest: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"before\n{contest._BEGIN}\nold\n{contest._END}\nafter\n")
    monkeypatch.setattr(contest, "PAGE", page)
    monkeypatch.setattr(contest, "RESULTS", results)
    facts = {"processor": "P", "cores": 2, "memory_gib": 1, "system": "S", "load_before": 0.1}
    for stage, seconds in (("one", 2.0), ("two", 4.0), ("one", 8.0)):
        module = SimpleNamespace(STAGE=stage, CORPUS="text", UNIT="MB/s/core", BARS={})
        held = {"ours": turns(contest, [1.0]), "peer": turns(contest, [seconds])}
        contest._record(contest._results(module, held, None, facts))
    written = page.read_text()
    assert written.startswith(f"before\n{contest._BEGIN}\n")
    assert written.endswith(f"{contest._END}\nafter\n")
    assert "old" not in written
    assert [line.split("|")[8].strip() for line in written.splitlines() if "| peer" in line] == ["8.00", "4.00"]


def test_sources_give_as_much_as_they_have_up_to_one_cap(corpora: ModuleType) -> None:
    sources = {name: [{"source": name, "text": "x" * 1000}] * count for name, count in (("a", 2), ("b", 50), ("c", 50))}
    chosen = [document["source"] for document in corpora._capped(sources, "text", 0.042)]
    assert {name: chosen.count(name) for name in "abc"} == {"a": 2, "b": 20, "c": 20}
    assert len(list(corpora._capped(sources, "text", 5.0))) == 102


@pytest.mark.parametrize(
    ("package", "name", "language"),
    [
        ("sqlite3-doc", "doc/sqlite3/de/c3ref.html", "en"),
        ("libreoffice-help-pt-br", "libreoffice/help/pt-BR/text/a.html", "pt"),
        ("lilypond-doc-html", "doc/lilypond/html/Documentation/web/community.html", "en"),
        ("lilypond-doc-html", "doc/lilypond/html/Documentation/web/community.hu.html", None),
        ("lilypond-doc-html-fr", "doc/lilypond/html/Documentation/web/community.fr.html", "fr"),
        ("debian-handbook", "doc/debian-handbook/html/nb-NO/sect.apt-get.html", "no"),
        ("gnome-user-docs", "help/C/gnome-help/about.page", "en"),
        ("installation-guide-amd64", "doc/installation-guide-amd64/zh_CN/ch01.html", "zh"),
        ("apache2-doc", "doc/apache2-doc/manual/style/faq.html", None),
    ],
)
def test_the_language_is_that_of_the_place(corpora: ModuleType, package: str, name: str, language: str | None) -> None:
    assert corpora._language(package, name) == language


def test_markup_leaves_its_text_block_by_block(corpora: ModuleType) -> None:
    page = (
        "<page><info><desc>gone</desc></info><title>A  title</title>\n<p>One <em>two</em>\n three &amp; 4.</p></page>"
    )
    assert corpora._without_tags(page) == "A title\nOne two three & 4."


def test_more_than_there_is_are_variations_that_are_no_duplicates(
    corpora: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(corpora, "HOME", tmp_path)
    written = [
        {"id": f"{source}/{n}", "source": source, "text": "\n".join(f"{source} {n} line {i}" for i in range(9))}
        for n in range(20)
        for source in ("a", "b")
    ]
    corpora.path("text").write_text("".join(json.dumps(document) + "\n" for document in written))
    size = sum(len(document["text"]) for document in written)
    assert corpora.read("text") == written
    assert corpora.read("text", 0.5 * size / 1e6) == written[:21]
    more = corpora.read("text", 10 * size / 1e6)
    assert more[:40] == written
    assert sum(len(document["text"]) for document in more) == pytest.approx(10 * size, rel=0.01)
    assert len({document["id"] for document in more}) == len({document["text"] for document in more}) == len(more)
    lines = [set(document["text"].split("\n")) for document in more]
    assert max(len(one & lines[0]) / len(one | lines[0]) for one in lines[1:]) < 0.5
