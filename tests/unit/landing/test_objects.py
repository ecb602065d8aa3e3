import os
import resource
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest

from goldmill.landing.objects import LandingError, current_etag, land_file, list_objects


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_lists_finished_objects_in_the_order_of_their_keys(tmp_path: Path) -> None:
    for key in ("b/x.jsonl", "a/c/d.parquet", "a-b/z.md", "a/b.txt", "a.txt", "a/c.html"):
        land_file(b"content", str(tmp_path), key)
    for hidden in (".hidden", "a/.git/config", "a/x.part", "a/y.tmp", "a/z.txt~", ".b/c.txt"):
        path = tmp_path / hidden
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"unfinished")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "dangling.txt").symlink_to(tmp_path / "nowhere")

    objects = list(list_objects(str(tmp_path)))

    keys = [landed.object_key for landed in objects]
    assert keys == ["a-b/z.md", "a.txt", "a/b.txt", "a/c.html", "a/c/d.parquet", "b/x.jsonl"]
    assert keys == sorted(keys)
    assert [landed.source for landed in objects] == ["a-b", "root", "a", "a", "a", "b"]
    assert [landed.data_type for landed in objects] == ["markdown", "text", "text", "html", "parquet", "jsonl"]
    assert all(landed.size_bytes == 7 for landed in objects)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_listed_object_can_be_opened_by_its_uri(tmp_path: Path, prefix: str) -> None:
    land_file(b"content", prefix + str(tmp_path), "a/b c#%20.txt")
    (landed,) = list_objects(prefix + str(tmp_path))
    with fsspec.open(landed.uri, "rb") as file:
        assert file.read() == b"content"
    assert current_etag(landed.uri) == landed.etag


def test_a_landing_area_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert list(list_objects(str(tmp_path / "nowhere"))) == []


def test_the_etag_changes_with_content_of_the_same_size(tmp_path: Path) -> None:
    first = land_file(b"one", str(tmp_path), "a/b.txt")
    second = land_file(b"two", str(tmp_path), "a/b.txt")
    assert first.etag != second.etag
    assert current_etag(first.uri) == second.etag
    assert list(list_objects(str(tmp_path))) == [second]


def test_the_etag_of_a_store_without_local_files_changes_with_content() -> None:
    landing = f"memory://{uuid.uuid4()}"
    first = land_file(b"one", landing, "a/b.txt")
    assert first.uri.startswith("memory://")
    assert list(list_objects(landing)) == [first]
    second = land_file(b"two", landing, "a/b.txt")
    assert first.etag != second.etag
    assert current_etag(first.uri) == second.etag


def test_landing_takes_files_as_well_as_bytes(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "original").write_bytes(content)
    landed = land_file(tmp_path / "original", str(tmp_path / "landing"), "a/b.bin")
    assert Path(landed.uri).read_bytes() == content
    assert landed.size_bytes == len(content)
    assert _names(tmp_path / "landing" / "a") == ["b.bin"]


@pytest.mark.parametrize("key", ["/etc/x", "../x", "a/../../x", "a//b", "", "a/.hidden", "a/b.part", "a/", "./a"])
def test_keys_that_would_escape_or_be_passed_over_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="rename it"):
        land_file(b"x", str(tmp_path), key)
    assert _names(tmp_path) == []


_FILL = """
import sys
from goldmill.landing.objects import LandingError, land_file
try:
    land_file(b"x" * 3_000_000, sys.argv[1], "a/big.txt")
except LandingError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_behind_and_says_what_is_needed(tmp_path: Path) -> None:
    landing = tmp_path / "small"
    landing.mkdir()
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("mounting a small disk takes user namespaces, which this machine does not allow")
    script = 'mount -t tmpfs -o size=1m none "$1" && "$2" -c "$3" "$1" && ls -A "$1/a"'
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(landing), sys.executable, _FILL],
        check=True,
        capture_output=True,
        text=True,
    )
    (message,) = ran.stdout.splitlines()
    assert message.startswith("object a/big.txt: could not be landed")
    assert "No space left on device" in message
    assert "3000000 bytes are needed, " in message
    assert " bytes are free; free space there" in message


def _limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_any_failure_to_write_keeps_the_object_that_was_there(tmp_path: Path) -> None:
    land_file(b"before", str(tmp_path), "a/big.txt")
    ran = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=_limit_file_size,
    )
    assert "File too large" in ran.stdout
    assert (tmp_path / "a" / "big.txt").read_bytes() == b"before"
    assert _names(tmp_path / "a") == ["big.txt"]


def test_a_file_that_is_not_there_cannot_be_landed(tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"object a/b\.txt: .*No such file"):
        land_file(tmp_path / "nothing", str(tmp_path / "landing"), "a/b.txt")
