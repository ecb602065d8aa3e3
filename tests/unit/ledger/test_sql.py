from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from goldmill.landing.objects import LandedObject, list_objects
from goldmill.ledger import open_ledger
from goldmill.ledger.protocol import ClaimLost, LedgerError, ObjectsHeld, State, UnknownVersion
from goldmill.ledger.sql import SqlLedger
from goldmill.settings import Settings

Landed = Callable[..., LandedObject]


def states(ledger: SqlLedger) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in ledger.summary():
        found[row.state] = found.get(row.state, 0) + row.objects
    return found


def keys(objects: list[LandedObject]) -> list[str]:
    return [item.object_key for item in objects]


class TestRecord:
    def test_an_arrival_that_is_delivered_twice_is_one_row(self, ledger: SqlLedger, landed: Landed) -> None:
        assert ledger.record([landed("a/1"), landed("a/2")]) == 2
        assert ledger.record([landed("a/2"), landed("a/3"), landed("a/3")]) == 1
        assert states(ledger) == {"recorded": 3}

    def test_unknown_is_what_record_would_find_new(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        listed = [landed("a/3"), landed("a/1"), landed("a/2", etag="2")]
        assert list(ledger.unknown(iter(listed))) == [listed[0], listed[2]]
        assert ledger.record(listed) == 2
        assert list(ledger.unknown(listed)) == []

    def test_an_overwritten_object_is_a_new_arrival_and_supersedes_the_old(
        self, ledger: SqlLedger, landed: Landed
    ) -> None:
        ledger.record([landed("a/1", etag="old")])
        ledger.record([landed("a/1", etag="new")])
        assert states(ledger) == {"recorded": 1, "superseded": 1}
        assert [item.etag for item in ledger.claim("build")] == ["new"]

    def test_an_object_that_is_overwritten_in_a_claim_stays_with_its_build(
        self, ledger: SqlLedger, landed: Landed
    ) -> None:
        ledger.record([landed("a/1", etag="old")])
        ledger.claim("first")
        ledger.record([landed("a/1", etag="new")])
        assert [item.etag for item in ledger.claim("second")] == ["new"]
        assert [item.etag for item in ledger.objects_of("first")] == ["old"]
        ledger.release("first")  # nobody can read the old bytes any more
        assert states(ledger) == {"claimed": 1, "superseded": 1}

    def test_bytes_that_come_back_are_built_if_they_never_were(self, ledger: SqlLedger, landed: Landed) -> None:
        for etag in ("A", "B", "A"):
            assert ledger.record([landed("a/1", etag=etag)]) == 1
        assert states(ledger) == {"recorded": 1, "superseded": 1}
        assert [item.etag for item in ledger.claim("build")] == ["A"]

    def test_bytes_that_come_back_are_not_built_twice(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1", etag="A")])
        ledger.claim("build")
        ledger.settle("build", "v1")
        ledger.record([landed("a/1", etag="B")])
        ledger.record([landed("a/1", etag="A")])
        assert ledger.claim("next") == []
        assert list(ledger.unknown([landed("a/1", etag="A")])) == []
        assert states(ledger) == {"settled": 1, "superseded": 1}

    def test_many_objects(self, ledger: SqlLedger, landed: Landed) -> None:
        objects = [landed(f"a/{number:05}") for number in range(2_500)]
        assert ledger.record(objects) == 2_500
        assert ledger.record(objects) == 0
        assert ledger.claim("build") == objects

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses file names that are not UTF-8")
    def test_a_file_name_that_is_no_text_is_quarantined(self, ledger: SqlLedger, tmp_path: Path) -> None:
        (tmp_path / "in" / "a").mkdir(parents=True)
        Path(os.fsdecode(os.fsencode(tmp_path / "in" / "a") + b"/caf\xe9.txt")).write_text("x")
        (tmp_path / "in" / "a" / "good.txt").write_text("x")
        listing = list(list_objects(str(tmp_path / "in")))
        assert ledger.record(listing) == 2
        assert ledger.record(listing) == 0
        assert keys(ledger.claim("build")) == ["a/good.txt"]
        (bad,) = ledger.quarantined()
        assert bad.object_key == "a/caf\\udce9.txt"
        assert "not UTF-8" in bad.error
        assert "rename it" in bad.error


class TestClaim:
    def test_takes_all_in_order_of_arrival_then_of_key(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("b/1"), landed("B/1"), landed("b/0")])
        ledger.record([landed("a/9")])
        assert keys(ledger.claim("build")) == ["B/1", "b/0", "b/1", "a/9"]

    def test_asked_again_gives_the_same_and_no_more(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        first = ledger.claim("build", max_bytes=10)
        ledger.record([landed("a/0")])
        assert ledger.claim("build", max_bytes=1_000) == first
        assert keys(first) == ["a/1"]

    def test_stops_before_the_bytes_are_over(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1", size_bytes=4), landed("a/2", size_bytes=6), landed("a/3", size_bytes=1)])
        assert keys(ledger.claim("exact", max_bytes=10)) == ["a/1", "a/2"]

    def test_takes_one_object_even_if_it_is_too_large(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1", size_bytes=100), landed("a/2", size_bytes=1)])
        assert keys(ledger.claim("build", max_bytes=10)) == ["a/1"]

    def test_takes_from_the_sources_that_are_named(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("b/1"), landed("c/1")])
        assert keys(ledger.claim("one", sources=["c", "a"])) == ["a/1", "c/1"]
        assert ledger.claim("two", sources=[]) == []
        assert keys(ledger.claim("three")) == ["b/1"]

    def test_two_builds_never_hold_the_same(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        assert keys(ledger.claim("one", max_bytes=10)) == ["a/1"]
        assert keys(ledger.claim("two")) == ["a/2"]
        assert ledger.claim("three") == []
        assert [(claim.build_id, claim.objects, claim.size_bytes) for claim in ledger.claims()] == [
            ("one", 1, 10),
            ("two", 1, 10),
        ]

    def test_a_retry_tries_again_what_it_could_not_read(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        first = ledger.claim("build")
        ledger.quarantine("build", "/landing/a/1", "1", "truncated")
        assert ledger.claim("build") == first
        assert ledger.quarantined() == []


class TestEnds:
    def test_settled_objects_belong_to_the_version(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        ledger.claim("build")
        assert ledger.settle("build", "v1") == 2
        assert ledger.settle("build", "v1") == 2
        assert states(ledger) == {"settled": 2}
        assert ledger.claims() == []
        assert ledger.claim("next") == []

    def test_quarantine_is_final_once_settled(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        ledger.claim("build")
        ledger.quarantine("build", "/landing/a/2", "1", "object a/2: truncated; land it again")
        assert keys_of_quarantine(ledger, "build") == ["a/2"]
        assert ledger.settle("build", "v1") == 2
        ledger.quarantine("build", "/landing/a/2", "1", "said again by a retry")
        (found,) = ledger.quarantined()
        assert (found.object_key, found.error, found.version) == ("a/2", "object a/2: truncated; land it again", "v1")
        assert states(ledger) == {"settled": 1, "quarantined": 1}
        assert ledger.quarantined("build") == []

    def test_only_the_holder_may_quarantine(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1")])
        ledger.claim("one")
        with pytest.raises(ClaimLost, match=r"build two does not hold object /landing/a/1"):
            ledger.quarantine("two", "/landing/a/1", "1", "no")
        with pytest.raises(ClaimLost, match="etag other"):
            ledger.quarantine("one", "/landing/a/1", "other", "no")

    def test_release_undoes_the_build(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        first = ledger.claim("one")
        ledger.quarantine("one", "/landing/a/1", "1", "bad")
        assert ledger.release("one") == 2
        assert ledger.release("one") == 0
        assert states(ledger) == {"recorded": 2}
        assert ledger.claim("two") == first

    def test_a_build_whose_claim_was_released_cannot_settle(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1")])
        ledger.claim("one")
        ledger.release("one")
        with pytest.raises(ClaimLost, match=r"build one published version v1, but holds no object"):
            ledger.settle("one", "v1")

    def test_dead_builds_give_back_what_they_held(self, ledger: SqlLedger, landed: Landed) -> None:
        ledger.record([landed("a/1"), landed("a/2")])
        ledger.claim("dead", max_bytes=10)
        ledger.claim("alive")
        assert ledger.take_turn("corpus", "waiting for nothing")
        assert ledger.release_stale(lambda build_id: build_id == "alive") == ["dead", "waiting for nothing"]
        assert keys(ledger.claim("next")) == ["a/1"]
        assert keys(ledger.objects_of("alive")) == ["a/2"]
        assert ledger.turn_holder("corpus") is None


class TestReclaim:
    @pytest.fixture
    def built(self, ledger: SqlLedger, landed: Landed) -> SqlLedger:
        for number in (1, 2):
            ledger.record([landed(f"a/{number}"), landed(f"b/{number}")])
            ledger.claim(f"build{number}")
            ledger.quarantine(f"build{number}", f"/landing/b/{number}", "1", "bad")
            ledger.settle(f"build{number}", f"v{number}")
        ledger.record([landed("a/3")])
        return ledger

    def test_takes_all_that_went_into_the_versions(self, built: SqlLedger) -> None:
        assert keys(built.reclaim("rebuild", ["v1", "v2"])) == ["a/1", "b/1", "a/2", "b/2"]
        assert keys(built.reclaim("rebuild", ["v1", "v2"])) == ["a/1", "b/1", "a/2", "b/2"]
        assert keys(built.claim("other")) == ["a/3"]

    def test_release_gives_them_back_to_their_versions(self, built: SqlLedger) -> None:
        before = (built.summary(), built.quarantined())
        built.reclaim("rebuild", ["v1"])
        built.release("rebuild")
        assert (built.summary(), built.quarantined()) == before
        assert keys(built.reclaim("again", ["v1"])) == ["a/1", "b/1"]

    def test_a_rebuild_makes_a_version_of_its_own(self, built: SqlLedger) -> None:
        built.reclaim("rebuild", ["v1", "v2"])
        assert built.settle("rebuild", "v3") == 4
        assert keys(built.reclaim("one", ["v1"])) == ["a/1", "b/1"]
        built.release("one")
        assert len(built.reclaim("three", ["v3"])) == 4

    def test_refuses_what_another_build_holds(self, built: SqlLedger) -> None:
        built.reclaim("first", ["v1"])
        with pytest.raises(ObjectsHeld, match=r"build second: objects of version v1, v2 are held by build first"):
            built.reclaim("second", ["v1", "v2"])
        assert built.objects_of("second") == []

    def test_names_a_version_that_it_does_not_know(self, built: SqlLedger) -> None:
        with pytest.raises(UnknownVersion, match=r"version v7, v9; name a version"):
            built.reclaim("rebuild", ["v1", "v9", "v7"])
        assert built.objects_of("rebuild") == []


class TestTurns:
    def test_one_build_of_a_corpus_at_a_time(self, ledger: SqlLedger) -> None:
        assert ledger.take_turn("corpus", "one")
        assert ledger.take_turn("corpus", "one")
        assert not ledger.take_turn("corpus", "two")
        assert ledger.take_turn("other", "two")
        assert ledger.turn_holder("corpus") == "one"
        ledger.end_turn("corpus", "two")
        assert ledger.turn_holder("corpus") == "one"
        ledger.end_turn("corpus", "one")
        assert ledger.take_turn("corpus", "two")

    def test_a_failed_build_gives_up_its_turn(self, ledger: SqlLedger) -> None:
        ledger.take_turn("corpus", "one")
        ledger.release("one")
        assert ledger.take_turn("corpus", "two")


_CLAIM_UNTIL_EMPTY = """
import sys
from goldmill.ledger.sql import SqlLedger
url, worker = sys.argv[1:]
sys.stdin.readline()
ledger, round = SqlLedger(url), 0
while found := ledger.claim(f"{worker}-{round}", max_bytes=30):
    for item in found:
        print(f"{worker}-{round}", item.object_key)
    ledger.settle(f"{worker}-{round}", f"v-{worker}-{round}")
    round += 1
"""


class TestProcesses:
    def test_builds_in_three_processes_claim_each_object_once(self, ledger_url: str, landed: Landed) -> None:
        expected = [f"a/{number:03}" for number in range(120)]
        SqlLedger(ledger_url).record([landed(key) for key in expected])
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", _CLAIM_UNTIL_EMPTY, ledger_url, f"worker{number}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number in range(3)
        ]  # fmt: skip
        for worker in workers:  # all wait for a line, so that none is done before the last has started
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        outputs = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, 0]
        claimed = [line.split()[1] for output in outputs for line in output.splitlines()]
        assert sorted(claimed) == expected
        assert states(SqlLedger(ledger_url)) == {"settled": 120}

    def test_first_use_by_three_processes_at_once(self, ledger_url: str) -> None:
        code = (
            "import sys; from goldmill.ledger.sql import SqlLedger;"
            "print(SqlLedger(sys.argv[1]).take_turn('corpus', sys.argv[2]))"
        )
        workers = [
            subprocess.Popen([sys.executable, "-c", code, ledger_url, str(number)], stdout=subprocess.PIPE, text=True)
            for number in range(3)
        ]
        outputs = sorted(worker.communicate(timeout=120)[0].strip() for worker in workers)
        assert outputs == ["False", "False", "True"]

    def test_the_claim_of_a_killed_build_is_released_by_the_next(self, ledger_url: str, landed: Landed) -> None:
        ledger = SqlLedger(ledger_url)
        ledger.record([landed("a/1"), landed("a/2")])
        code = (
            "import sys, time; from goldmill.ledger.sql import SqlLedger; ledger = SqlLedger(sys.argv[1]);"
            "ledger.claim('killed'); ledger.take_turn('corpus', 'killed'); print('claimed', flush=True); time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, ledger_url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert ledger.claim("next") == []
        assert ledger.release_stale(lambda build_id: build_id != "killed") == ["killed"]
        assert keys(ledger.claim("next")) == ["a/1", "a/2"]
        assert ledger.take_turn("corpus", "next")


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("nonsense", r"ledger.url is 'nonsense', no database address; give e.g. sqlite"),
            ("mysql://host/db", r"ledger.url names 'mysql'; the ledger is kept in sqlite or postgresql"),
            ("sqlite://", r"ledger in memory would be forgotten; name a file"),
            ("postgresql+nodriver://h/d", r"there is no driver 'postgresql\+nodriver'; use postgresql\+psycopg"),
        ],
    )
    def test_names_what_is_wrong(self, url: str, message: str) -> None:
        with pytest.raises(LedgerError, match=message):
            SqlLedger(url)

    def test_a_database_that_cannot_be_opened_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.db").mkdir()
        with pytest.raises(LedgerError, match=r"ledger.db: unable to open database file; check ledger.url"):
            SqlLedger(f"sqlite:///{tmp_path}/ledger.db")

    def test_a_server_that_does_not_answer_is_named_without_its_password(self) -> None:
        pytest.importorskip("psycopg", reason="psycopg is not installed")
        with pytest.raises(LedgerError, match=r"check ledger.url \(GOLDMILL_LEDGER__URL\)") as caught:
            SqlLedger("postgresql://me:hidden-password@127.0.0.1:1/ledger")
        assert "hidden-password" not in str(caught.value)

    def test_the_settings_name_the_ledger(self, tmp_path: Path, landed: Landed) -> None:
        settings = Settings(home=str(tmp_path / "home"))
        assert open_ledger(settings).record([landed("a/1")]) == 1
        assert open_ledger(settings).record([landed("a/1")]) == 0
        assert (tmp_path / "home" / "ledger.db").is_file()


def keys_of_quarantine(ledger: SqlLedger, build_id: str) -> list[str]:
    return [item.object_key for item in ledger.quarantined(build_id)]


def test_states_are_told_by_source(ledger: SqlLedger, landed: Landed) -> None:
    ledger.record([landed("a/1", size_bytes=3), landed("a/2", size_bytes=4), landed("b/1", size_bytes=5)])
    ledger.claim("build", sources=["b"])
    assert ledger.summary() == [("a", State.RECORDED, 2, 7), ("b", State.CLAIMED, 1, 5)]


def test_objects_of_rolled_back_versions_can_be_claimed_again(ledger: SqlLedger, landed: Landed) -> None:
    """Only those whose last version was rolled back; once."""
    ledger.record([landed("s/a"), landed("s/b")])
    ledger.claim("b1", max_bytes=1)
    ledger.settle("b1", "v1")
    ledger.claim("b2")
    ledger.settle("b2", "v2")

    assert ledger.requeue(["v2"]) == 1
    assert ledger.requeue(["v2"]) == 0
    assert [item.object_key for item in ledger.claim("b3")] == ["s/b"]
