"""MB/s/core of each kernel on the demo's input, in one process.

Each kernel gets the records that it gets in a build (HTML pages, prose, code, or all texts), in batches as the stages
cut them, one batch to warm up compiled code and then all on the clock. MB are 10**6 bytes of what goes in, text as
UTF-8; seconds are processor time of all threads, so that whatever else runs on the machine counts little.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from common import (
    AIRFLOW_ENVIRONMENT,
    ROOT,
    SPARK_ENVIRONMENT,
    land_default_input,
    machine,
    parser,
    show,
    table,
    use_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from goldmill.landing.readers import Record

_BATCH_RECORDS = 512
_BATCH_BYTES = 4 * 2**20


class Texts(NamedTuple):
    """Decoded records, in batches: Arrow arrays of texts, and what goes with them."""

    texts: list[Any]
    languages: list[Any]
    names: list[Any]


def main() -> int:
    """Parse the command line, land the input, measure, show."""
    arguments = parser(__doc__, megabytes=20)
    arguments.add_argument("--landing", type=Path, help="measure on this landing area instead of the demo's input")
    given = arguments.parse_args()
    if given.landing is None:
        # What lands input belongs to the Airflow environment, what is measured to the other.
        use_environment(AIRFLOW_ENVIRONMENT)
        with tempfile.TemporaryDirectory(prefix="goldmill-bench-") as directory:
            landing = Path(directory) / "landing"
            land_default_input(landing, given.megabytes)
            python = ROOT / SPARK_ENVIRONMENT / "bin" / "python"
            return subprocess.run([python, *sys.argv, "--landing", str(landing)], check=False).returncode
    use_environment(SPARK_ENVIRONMENT)
    for variable in ("TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "false" if variable.startswith("TOKENIZERS") else "1"
    facts = machine()
    rows = [
        {"kernel": name, "megabytes": size / 1e6, "seconds": seconds, "megabytes_per_second": size / 1e6 / seconds}
        for name, size, seconds in measure(given.landing)
    ]
    columns = ("kernel", "MB", "CPU s", "MB/s/core")
    shown = table(columns, [tuple(row.values()) for row in rows])
    show({"machine": facts, "kernels": rows}, [shown], as_json=given.json)
    return 0


def measure(landing: Path) -> Iterator[tuple[str, int, float]]:
    """Name, bytes and seconds of each kernel."""
    import pyarrow as pa

    from goldmill.recipe import load_recipe
    from goldmill.text.c4 import clean_c4_lines
    from goldmill.text.code import judge_code
    from goldmill.text.decode import decode
    from goldmill.text.decontamination import Item, build_index, decontaminate_documents
    from goldmill.text.extract import extract_main_texts
    from goldmill.text.language import identify
    from goldmill.text.licenses import detect_licenses
    from goldmill.text.minhash import content_hashes, jaccard, signatures
    from goldmill.text.packing import pack
    from goldmill.text.pii import scrub
    from goldmill.text.quality import count_for, judge_prose
    from goldmill.text.secrets import scrub_secrets
    from goldmill.text.tokens import encode, load_tokenizer, train_tokenizer
    from goldmill.text.toxicity import judge_toxicity

    recipe = load_recipe()
    records = list(_records(landing, recipe.read))
    raw = [record for record in records if isinstance(record.payload, bytes)]
    yield (
        "decode",
        *_timed(
            lambda record: decode(record.payload, record.declared_encoding, record.media_type),
            raw,
            lambda record: len(record.payload),
        ),
    )
    pages, prose, code = _sorted(records)
    yield "extract (HTML)", *_timed(extract_main_texts, pages.texts, _nbytes)
    prose.texts.extend(extract_main_texts(page)[0].cast(pa.string()) for page in pages.texts)
    every = [*prose.texts, *code.texts]
    yield "language (prose)", *_timed(identify, prose.texts, _nbytes)
    families = (recipe.gopher_repetition, recipe.gopher_quality, recipe.fineweb)
    yield "count (prose)", *_timed(lambda texts: count_for(texts, *families), prose.texts, _nbytes)
    counted = [(count_for(texts, *families), texts) for texts in prose.texts]
    yield (
        "judge prose",
        *_timed(lambda pair: judge_prose(pair[0], *families), counted, lambda pair: _nbytes(pair[1])),
    )
    yield "clean C4 lines (prose)", *_timed(lambda texts: clean_c4_lines(texts, recipe.c4), prose.texts, _nbytes)
    yield (
        "judge code",
        *_timed(
            lambda batch: judge_code(batch[0], batch[1], recipe.code, batch[2]),
            list(zip(*code, strict=True)),
            lambda batch: _nbytes(batch[0]),
        ),
    )
    yield "toxicity", *_timed(lambda texts: judge_toxicity(texts, recipe.toxicity), every, _nbytes)
    yield "secrets", *_timed(lambda texts: scrub_secrets(texts, recipe.secrets), every, _nbytes)
    yield "personal data", *_timed(lambda texts: scrub(texts, recipe.pii), every, _nbytes)
    # Every twentieth text stands for an evaluation item.
    items = [Item(str(row), (text,)) for row, text in enumerate(t for b in every for t in b.to_pylist()[::20])]
    evaluation = build_index([("texts", items)], recipe.decontaminate)
    wanted = frozenset({"texts"})
    yield (
        "decontaminate",
        *_timed(lambda texts: decontaminate_documents(texts, evaluation, wanted), every, _nbytes),
    )
    yield "licences", *_timed(detect_licenses, every, _nbytes)
    yield "content hash", *_timed(content_hashes, every, _nbytes)
    minhash = recipe.deduplicate.minhash
    yield "MinHash signatures", *_timed(lambda texts: signatures(texts, minhash), every, _nbytes)
    neighbours = [(texts, pa.concat_arrays([texts[1:], texts[:1]])) for texts in every]
    yield (
        "true Jaccard (pairs)",
        *_timed(lambda pair: jaccard(pair[0], pair[1], minhash), neighbours, lambda pair: 2 * _nbytes(pair[0])),
    )
    sample = [text for texts in every for text in texts.to_pylist()[::4]]
    started = time.process_time()
    content = train_tokenizer(sample, recipe.tokenizer)
    yield "train tokenizer", sum(len(text.encode()) for text in sample), time.process_time() - started
    tokenizer = load_tokenizer(content, recipe.tokenizer)
    yield "encode", *_timed(lambda texts: encode(texts, tokenizer), every, _nbytes)
    encoded = [encode(texts, tokenizer) for texts in every]
    numbered = [(pa.array([f"{b:04x}{i:028x}" for i in range(len(ids))]), ids) for b, ids in enumerate(encoded)]
    yield (
        "pack",
        *_timed(
            lambda batch: pack(
                batch[0],
                batch[1],
                recipe.packing,
                end_of_text_id=tokenizer.end_of_text_id,
                padding_id=tokenizer.padding_id,
                seed=recipe.seed,
                split="train",
                shard=0,
            ),
            numbered,
            None,
            sum(_nbytes(texts) for texts in every),
        ),
    )


def _records(landing: Path, limits: Any) -> Iterator[Record]:
    from goldmill.landing.objects import list_objects
    from goldmill.landing.readers import Record, read_records

    for item in list_objects(str(landing)):
        for record in read_records(item, limits):
            if isinstance(record, Record):
                yield record


def _sorted(records: Sequence[Record]) -> tuple[Texts, Texts, Texts]:
    """Pages, prose and code, decoded and cut into batches."""
    from goldmill.text.code import programming_language
    from goldmill.text.decode import DecodeError, decode

    kinds: dict[str, list[tuple[str, str | None, str]]] = {"pages": [], "prose": [], "code": []}
    for record in records:
        text = record.payload
        if isinstance(text, bytes):
            try:
                text = decode(text, record.declared_encoding, record.media_type).text
            except DecodeError:
                continue
        language = programming_language(record.file_name, text.split("\n", 1)[0])
        kind = "code" if language else "pages" if record.media_type == "text/html" else "prose"
        kinds[kind].append((text, language, record.file_name))
    pages, prose, code = (_batches(kinds[kind]) for kind in ("pages", "prose", "code"))
    return pages, prose, code


def _batches(rows: list[tuple[str, str | None, str]]) -> Texts:
    import pyarrow as pa

    batches = Texts([], [], [])
    size = start = 0
    for index, row in enumerate(rows, 1):
        size += len(row[0])
        if size >= _BATCH_BYTES or index - start >= _BATCH_RECORDS or index == len(rows):
            for column, values in zip(batches, zip(*rows[start:index], strict=True), strict=True):
                column.append(pa.array(values, pa.string()))
            size, start = 0, index
    return batches


def _nbytes(texts: Any) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(pc.binary_length(texts)).as_py() or 0)


def _timed(
    kernel: Callable[[Any], Any], batches: Sequence[Any], size: Callable[[Any], int] | None, total: int | None = None
) -> tuple[int, float]:
    """Bytes and seconds over all batches; one is done beforehand, so that nothing is compiled on the clock."""
    for batch in batches[:1]:
        kernel(batch)
    started = time.process_time()
    for batch in batches:
        kernel(batch)
    seconds = time.process_time() - started
    return (total if size is None else sum(size(batch) for batch in batches)) or 0, seconds


if __name__ == "__main__":
    sys.exit(main())
