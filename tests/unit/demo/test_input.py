"""The demo's input: the same bytes every time, and the reader's own data."""

from __future__ import annotations

import gzip
import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

from goldmill.demo.input import land_default_input, land_own_input
from goldmill.demo.processes import DemoError
from goldmill.landing.objects import list_objects


def landed(root: Path) -> dict[str, bytes]:
    return {item.object_key: Path(item.uri).read_bytes() for item in list_objects(str(root))}


def test_default_input_is_real_deterministic_and_landed_once(tmp_path: Path) -> None:
    environments = [Path(sys.prefix)]
    first, second = tmp_path / "first", tmp_path / "second"
    news = land_default_input(str(first), environments, tmp_path / "stamp", 2)
    objects = landed(first)
    assert news == len(objects)
    assert {key.split("/")[0] for key in objects} == {"stdlib", "packages", "descriptions", "licenses", "web"}
    assert land_default_input(str(first), environments, tmp_path / "stamp", 2) == 0
    land_default_input(str(second), environments, tmp_path / "other", 2)
    assert landed(second) == objects
    packed = gzip.decompress(next(content for key, content in objects.items() if key.endswith(".jsonl.gz")))
    described = [json.loads(line) for line in packed.splitlines()]
    assert all(record["text"] for record in described)
    archive = next(first.glob("packages/*.tar.gz"))
    with tarfile.open(archive) as members:
        assert any(name.endswith(".py") for name in members.getnames())
    warc = gzip.decompress(next(content for key, content in objects.items() if key.endswith(".warc.gz")))
    assert warc.startswith(b"WARC/1.1\r\nWARC-Type: response\r\n")
    paged = {name.decode() for name in re.findall(rb"^WARC-Target-URI: http://localhost/project/(.+)/\r$", warc, re.M)}
    assert paged
    assert not paged & {record["name"] for record in described}, "a description arrives as text or as a page"


def test_own_directory_is_landed_under_its_name_and_only_what_changed(tmp_path: Path) -> None:
    data = tmp_path / "books"
    (data / "a").mkdir(parents=True)
    (data / "a" / "one.txt").write_text("one")
    (data / "two.md").write_text("two")
    (data / ".hidden").write_text("no")
    landing = tmp_path / "landing"
    assert land_own_input(str(data), str(landing)) == 2
    assert landed(landing) == {"books/a/one.txt": b"one", "books/two.md": b"two"}
    (data / "two.md").write_text("new")
    assert land_own_input(str(data), str(landing)) == 1


def test_own_file_and_uri(tmp_path: Path) -> None:
    file = tmp_path / "crawl.warc.gz"
    file.write_bytes(b"x")
    land_own_input(file.as_uri(), str(tmp_path / "landing"))
    assert landed(tmp_path / "landing") == {"crawl/crawl.warc.gz": b"x"}


@pytest.mark.parametrize(("name", "message"), [("missing", "no such file"), ("empty", "holds no file")])
def test_nothing_to_land_is_an_error_that_names_the_input(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DemoError, match=f"INPUT=.*{name}.*{message}"):
        land_own_input(str(tmp_path / name), str(tmp_path / "landing"))
