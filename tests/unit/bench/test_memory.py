"""The input of the memory benchmark: ten times the text must not be ten times the same text."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import re
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
import zstandard

ROOT = Path(__file__).parents[3]
PAGE = (
    b"<html><body class='main'><p>"
    + b" ".join(b"word%04d plain sentence here" % n for n in range(50))
    + b"</p></body></html>"
)
TEXT = " ".join(f"chapter{chr(97 + n % 26)}{chr(97 + n // 26)} follows another story" for n in range(200))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "bench")
    return importlib.import_module("memory")


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def jaccard(left: str, right: str) -> float:
    return len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))


def test_copies_are_no_near_duplicates_of_the_original_or_of_each_other(memory: ModuleType) -> None:
    first, second = (memory.changed_text(TEXT.encode(), copy).decode() for copy in (1, 2))
    assert jaccard(TEXT, first) < 0.3
    assert jaccard(first, second) < 0.3
    assert len(first) < 1.05 * len(TEXT)


def test_markup_stays(memory: ModuleType) -> None:
    changed = memory.changed_text(PAGE, 3)
    assert changed != PAGE
    assert re.findall(rb"<[^>]*>", changed) == re.findall(rb"<[^>]*>", PAGE)


def test_archive_members_keep_their_names_and_hold_changed_text(memory: ModuleType) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a/b.py")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    changed = memory.changed_object("a.tar.gz", packed.getvalue(), 1)
    with tarfile.open(fileobj=io.BytesIO(changed)) as archive:
        assert archive.getnames() == ["a/b.py"]
        member = archive.extractfile("a/b.py")
        assert member is not None
        assert member.read() == memory.changed_text(TEXT.encode(), 1)


@pytest.mark.parametrize(
    ("name", "pack", "unpack"),
    [
        ("a.jsonl.gz", gzip.compress, gzip.decompress),
        (
            "a.jsonl.zst",
            zstandard.ZstdCompressor().compress,
            lambda content: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read(),
        ),
    ],
)
def test_json_lines_keep_their_fields_and_get_addresses_of_their_own(memory: ModuleType, name, pack, unpack) -> None:
    lines = (
        json.dumps({"text": TEXT, "url": "http://localhost/a", "name": "a"}) + "\n" + json.dumps({"text": TEXT}) + "\n"
    )
    first, second = (
        json.loads(line) for line in unpack(memory.changed_object(name, pack(lines.encode()), 2)).splitlines()
    )
    assert first == {
        "text": memory.changed_text(TEXT.encode(), 2).decode(),
        "url": "http://localhost/a?copy=2",
        "name": "a",
    }
    assert second["text"] == first["text"]
    assert "url" not in second


def test_warc_records_have_the_right_length_and_ids_of_their_own(memory: ModuleType) -> None:
    from goldmill.demo.input import _warc_record

    content = _warc_record("http://localhost/a", PAGE) + _warc_record("http://localhost/b", PAGE)
    records = list(memory._warc_records(gzip.decompress(memory.changed_object("a.warc.gz", content, 4))))
    assert [re.search(rb"Target-URI: (\S+)", head)[1] for head, _ in records] == [  # type: ignore[index]
        b"http://localhost/a?copy=4",
        b"http://localhost/b?copy=4",
    ]
    assert all(body.endswith(memory.changed_text(PAGE, 4)) for _, body in records)
    ids = [re.search(rb"urn:uuid:\S+", head)[0] for head, _ in records]  # type: ignore[index]
    assert len(set(ids)) == 2
    assert not any(found in gzip.decompress(content) for found in ids)


def test_multiply_adds_copies_below_the_same_source(memory: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "stdlib" / "json").mkdir(parents=True)
    (tmp_path / "stdlib" / "json" / "tool.py").write_text(TEXT)
    memory.multiply(tmp_path, 3)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py"))
    assert found == ["stdlib/copy-1/json/tool.py", "stdlib/copy-2/json/tool.py", "stdlib/json/tool.py"]
    assert len({(tmp_path / name).read_text() for name in found}) == 3
