"""Does the memory of the refine and tokenize jobs grow with the input? Peak of all processes of each job.

Builds an input of S megabytes, then one of ten times the size: S megabytes of real text and nine copies of it in which
every sixth word is changed, so that no document is a duplicate of another. Exit code 1 if the larger build needs over
1.2 times the memory of the smaller one in either stage.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from common import (
    AIRFLOW_ENVIRONMENT,
    land_default_input,
    machine,
    mebibytes,
    parser,
    run_stages,
    show,
    size_of,
    table,
    use_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGES = ("refine", "tokenize")
ALLOWED_RATIO = 1.2
# One word in six is changed: one shingle of five words in six has a changed word, so copies have a Jaccard
# similarity of about 0.1 and are no near duplicates.
_EVERY = 6
_TAG_OR_WORD = re.compile(rb"<[^<>]*>|[A-Za-z]{4,}")
_HEADER_END = b"\r\n\r\n"


def main() -> int:
    """Parse the command line, build both, compare."""
    arguments = parser(__doc__, megabytes=60)
    arguments.add_argument("--factor", type=int, default=10, help="how many times larger the second input is (10)")
    given = arguments.parse_args()
    use_environment(AIRFLOW_ENVIRONMENT)
    facts = machine()
    with tempfile.TemporaryDirectory(prefix="goldmill-bench-") as directory:
        landing = Path(directory) / "landing"
        land_default_input(landing, given.megabytes)
        builds = [{"landed_bytes": size_of(landing), **run_stages(landing)}]
        multiply(landing, given.factor)
        builds.append({"landed_bytes": size_of(landing), **run_stages(landing)})
    small, large = builds
    ratios = {
        stage: large["stages"][stage]["peak_rss_bytes"] / small["stages"][stage]["peak_rss_bytes"] for stage in STAGES
    }
    flat = all(ratio <= ALLOWED_RATIO for ratio in ratios.values())
    results = {"machine": facts, "builds": builds, "ratios": ratios, "flat": flat}
    rows = [
        (
            stage,
            small["stages"][stage]["bytes"] / 1e6,
            large["stages"][stage]["bytes"] / 1e6,
            mebibytes(small["stages"][stage]["peak_rss_bytes"]),
            mebibytes(large["stages"][stage]["peak_rss_bytes"]),
            ratios[stage],
        )
        for stage in STAGES
    ]
    verdict = f"Memory {'stays' if flat else 'GROWS: it does not stay'} within {ALLOWED_RATIO} times."
    columns = ("stage", "small MB", "large MB", "small peak MiB", "large peak MiB", "ratio")
    show(results, [table(columns, rows), verdict], as_json=given.json)
    return 0 if flat else 1


def multiply(landing: Path, factor: int) -> None:
    """Add ``factor - 1`` changed copies of each object of a landing area that holds the demo's input."""
    originals = sorted(path for path in landing.rglob("*") if path.is_file())
    for copy in range(1, factor):
        for path in originals:
            source, *rest = path.relative_to(landing).parts
            # Sources stay the same: each has its rules and its budget.
            target = landing / source / f"copy-{copy}" / Path(*rest)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(changed_object(path.name, path.read_bytes(), copy))


def changed_object(name: str, content: bytes, copy: int) -> bytes:
    """An object of the demo's input with the text of each record changed, and addresses of its own."""
    import zstandard

    if name.endswith(".tar.gz"):
        return gzip.compress(_changed_tar(gzip.decompress(content), copy), mtime=0)
    if name.endswith(".jsonl.gz"):
        return gzip.compress(_changed_lines(gzip.decompress(content), copy), mtime=0)
    if name.endswith(".jsonl.zst"):
        opened = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
        return zstandard.ZstdCompressor().compress(_changed_lines(opened, copy))
    if name.endswith(".warc.gz"):
        records = _warc_records(gzip.decompress(content))
        return b"".join(gzip.compress(_changed_record(head, body, copy), mtime=0) for head, body in records)
    return changed_text(content, copy)


def changed_text(text: bytes, copy: int) -> bytes:
    """Every sixth word of four letters or more gets a letter more, one for each copy; markup stays."""
    suffix = bytes([ord("a") + copy % 26])
    seen = 0

    def change(found: re.Match[bytes]) -> bytes:
        nonlocal seen
        if found[0].startswith(b"<"):
            return found[0]
        seen += 1
        return found[0] if seen % _EVERY else found[0] + suffix

    return _TAG_OR_WORD.sub(change, text)


def _changed_tar(archive: bytes, copy: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in old:
            content = changed_text((old.extractfile(member) or io.BytesIO()).read(), copy)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _changed_lines(lines: bytes, copy: int) -> bytes:
    records = [json.loads(line) for line in lines.splitlines()]
    for record in records:
        record["text"] = changed_text(record["text"].encode(), copy).decode()
        if "url" in record:
            record["url"] += f"?copy={copy}"
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _warc_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Header and body of each record (ISO 28500:2017)."""
    start = 0
    while start < len(content):
        end = content.index(_HEADER_END, start)
        length = int(re.search(rb"Content-Length: (\d+)", content[start:end])[1])  # type: ignore[index]
        body = end + len(_HEADER_END)
        yield content[start:end], content[body : body + length]
        start = body + length + len(_HEADER_END)


def _changed_record(head: bytes, body: bytes, copy: int) -> bytes:
    answer, _, page = body.partition(_HEADER_END)
    body = answer + _HEADER_END + changed_text(page, copy)
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    head = re.sub(rb"(WARC-Target-URI: [^\r]*)", rb"\1?copy=%d" % copy, head)
    head = re.sub(rb"(urn:uuid:)\w{8}", rb"\g<1>%08x" % copy, head)
    return head + _HEADER_END + body + _HEADER_END


if __name__ == "__main__":
    sys.exit(main())
