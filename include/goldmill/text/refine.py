"""From records as they were read to documents: decode, extract, judge, scrub. Pure: no I/O, no Spark.

Every record ends as one row of :data:`OUTCOMES`: a document, or a removal with the rule, or a quarantined record with
the error. Rules are judged in the order in which FineWeb applies them (arXiv 2406.17557, section 3), cheap ones first;
what one rule removes the next does not look at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldmill.landing.readers import Fault, Record
from goldmill.text.c4 import clean_c4_lines
from goldmill.text.code import judge_code, programming_language
from goldmill.text.counters import count_texts
from goldmill.text.decode import DecodeError, decode
from goldmill.text.decontamination import decontaminate_documents
from goldmill.text.extract import drop_front_matter, extract_main_texts
from goldmill.text.language import identify, judge_language
from goldmill.text.licenses import detect_licenses
from goldmill.text.minhash import content_hashes, document_ids
from goldmill.text.pii import scrub
from goldmill.text.quality import count_for, judge_prose
from goldmill.text.secrets import scrub_secrets
from goldmill.text.toxicity import judge_toxicity
from goldmill.text.verdicts import Check, Verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goldmill.recipe import Recipe
    from goldmill.text.decontamination import EvaluationIndex

PROSE, CODE = "prose", "code"
DOCUMENT, REMOVAL = "document", "removal"

_ORIGIN = [pa.field(name, pa.string()) for name in ("document_id", "object_key", "record_path", "url")]
_DOCUMENT = [
    pa.field("media_type", pa.string()),
    pa.field("kind", pa.string()),
    pa.field("language", pa.string()),
    pa.field("language_score", pa.float64()),
    pa.field("encoding", pa.string()),
    pa.field("license", pa.string()),
    pa.field("text", pa.string()),
    pa.field("text_bytes", pa.int64()),
    pa.field("content_hash", pa.string()),
    pa.field("char_count", pa.int64()),
    pa.field("word_count", pa.int64()),
    pa.field("line_count", pa.int64()),
    pa.field("pii_counts", pa.map_(pa.string(), pa.int32())),
    pa.field("toxicity_score", pa.float64()),
    pa.field("evaluation_item", pa.string()),
]
_REMOVAL = [
    pa.field("disposition", pa.string()),
    pa.field("rule", pa.string()),
    pa.field("score", pa.float64()),
    pa.field("threshold", pa.float64()),
    pa.field("detail", pa.string()),
]
OUTCOMES = pa.schema([pa.field("outcome", pa.string()), *_ORIGIN, *_DOCUMENT, *_REMOVAL])
"""One row a record. ``outcome`` is ``document`` or ``removal``; the columns of the other are null."""


@dataclass(frozen=True)
class _Origin:
    """The object that the records came from."""

    source: str
    object_key: str
    weight: float


class _Batch:
    """Documents that are still in, and the rows that have left."""

    def __init__(self, origin: _Origin, table: pa.Table) -> None:
        self.origin = origin
        self.table = table
        self.left: list[pa.Table] = []

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> pa.Array:
        return self.table[name].combine_chunks()

    def put(self, name: str, values: pa.Array) -> None:
        if name in self.table.column_names:
            self.table = self.table.set_column(self.table.column_names.index(name), name, values)
        else:
            self.table = self.table.append_column(name, values)

    def judge(self, verdicts: Verdicts, detail: pa.Array | None = None) -> None:
        """Take out what a rule broke; ``detail`` says more about it, one text a document."""
        passed = verdicts.passed
        if pc.all(passed).as_py() is not False:
            return
        out = pc.invert(passed)
        gone = self.table.select(["document_id", "record_path", "url"]).filter(out)
        count = len(gone)
        self.left.append(
            _removals(
                self.origin,
                gone["document_id"],
                gone["record_path"],
                gone["url"],
                pa.array(["removed"] * count),
                verdicts.rule.filter(out),
                verdicts.score.filter(out),
                verdicts.threshold.filter(out),
                pa.nulls(count, pa.string()) if detail is None else detail.filter(out),
            )
        )
        self.table = self.table.filter(passed)


def refine_records(
    records: Sequence[Record | Fault],
    source: str,
    object_key: str,
    recipe: Recipe,
    evaluation: EvaluationIndex | None = None,
) -> pa.Table:
    """Mill one chunk of records of one object.

    Args:
        records: what the reader yielded, in any number; all of it is in memory at once.
        source: name of the source.
        object_key: path of the object below the landing root.
        recipe: the rules.
        evaluation: items of the recipe's evaluation sets; None where it names none.

    Returns:
        Table of :data:`OUTCOMES`, as many rows as ``records``.
    """
    origin = _Origin(source, object_key, recipe.source(source).weight)
    batch = _decode(records, origin)
    if len(batch):
        _extract(batch)
        _sample(batch, recipe.seed)
        parts = [_refine_kind(_only(batch, kind), kind, recipe, evaluation) for kind in (PROSE, CODE)]
        documents = pa.concat_tables([_documents(part, recipe) for part in parts])
        removals = [*batch.left, *(left for part in parts for left in part.left)]
    else:
        documents = OUTCOMES.empty_table()
        removals = batch.left
    return pa.concat_tables([documents, *removals])


def _decode(records: Sequence[Record | Fault], origin: _Origin) -> _Batch:
    rows: dict[str, list[Any]] = {
        name: [] for name in ("record_path", "url", "media_type", "encoding", "language", "file_name", "text")
    }
    faults: list[tuple[str, str | None, str, str, str]] = []
    for record in records:
        if isinstance(record, Fault):
            faults.append((record.record_path, None, record.disposition, record.code, record.message))
            continue
        if isinstance(record.payload, str):
            text, encoding = record.payload, "utf-8"
        else:
            try:
                decoded = decode(record.payload, record.declared_encoding, record.media_type)
            except DecodeError as error:
                place = f"{origin.object_key}#{record.record_path}" if record.record_path else origin.object_key
                faults.append((record.record_path, record.url, "quarantined", error.code, f"{place}: {error}"))
                continue
            text, encoding = decoded.text, decoded.encoding
        rows["record_path"].append(record.record_path)
        rows["url"].append(record.url)
        rows["media_type"].append(record.media_type)
        rows["encoding"].append(encoding)
        # Code has its language from the start; that of prose is identified later.
        rows["language"].append(programming_language(record.file_name, text.split("\n", 1)[0]))
        rows["file_name"].append(record.file_name)
        rows["text"].append(text)
    table = pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()})
    batch = _Batch(origin, table)
    batch.put("kind", pc.if_else(pc.is_valid(batch.column("language")), CODE, PROSE))
    if faults:
        paths, urls, dispositions, codes, messages = (
            pa.array(column, pa.string()) for column in zip(*faults, strict=True)
        )
        batch.left.append(
            _removals(
                origin,
                _ids(origin, paths, pa.array([""] * len(faults))),
                paths,
                urls,
                dispositions,
                codes,
                pa.nulls(len(faults), pa.float64()),
                pa.nulls(len(faults), pa.float64()),
                messages,
            )
        )
    return batch


def _extract(batch: _Batch) -> None:
    """Main text of HTML pages, Markdown without front matter; what holds no text leaves."""
    media_types, texts = batch.column("media_type"), batch.column("text")
    prose = pc.equal(batch.column("kind"), PROSE)
    for media_type, extract in (("text/html", _main_texts), ("text/markdown", drop_front_matter)):
        mask = pc.and_(prose, pc.equal(media_types, media_type))
        if pc.any(mask).as_py():
            texts = pc.replace_with_mask(texts, mask, extract(texts.filter(mask)).cast(pa.string()))
    batch.put("text", texts)
    batch.put("document_id", _ids(batch.origin, batch.column("record_path"), texts))
    _judge_emptiness(batch)


def _sample(batch: _Batch, seed: int) -> None:
    """Keep the source's share of documents; the first 32 bits of the id, itself a hash, decide."""
    if batch.origin.weight >= 1:
        return
    lots = np.array([int(i[:8], 16) for i in batch.column("document_id").to_pylist()], np.uint64)
    drawn = ((lots * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)) >> np.uint64(32)) / 2.0**32
    check = Check("source_weight", drawn, drawn >= batch.origin.weight, batch.origin.weight)
    batch.judge(Verdicts.first([check], len(batch)))


def _only(batch: _Batch, kind: str) -> _Batch:
    return _Batch(batch.origin, batch.table.filter(pc.equal(batch.table["kind"], kind)))


def _refine_kind(batch: _Batch, kind: str, recipe: Recipe, evaluation: EvaluationIndex | None) -> _Batch:
    if kind == PROSE:
        languages, scores = identify(batch.column("text"), recipe.language.max_sample_bytes)
        batch.put("language", languages)
        batch.put("language_score", scores)
        batch.judge(judge_language(languages, scores, recipe.language))
        _judge_prose(batch, recipe)
    else:
        batch.put("language_score", pa.array(np.ones(len(batch))))
        texts, languages = batch.column("text"), batch.column("language")
        batch.judge(judge_code(texts, languages, recipe.code, batch.column("file_name")))
    scores, verdicts = judge_toxicity(batch.column("text"), recipe.toxicity)
    batch.put("toxicity_score", scores)
    batch.judge(verdicts)
    _decontaminate(batch, recipe, evaluation)
    return batch


def _decontaminate(batch: _Batch, recipe: Recipe, evaluation: EvaluationIndex | None) -> None:
    """Take out what holds an item of a set that is to be removed; name the item where it is to be kept."""
    rules = recipe.decontaminate
    if evaluation is None:
        batch.put("evaluation_item", pa.nulls(len(batch), pa.string()))
        return
    matches = decontaminate_documents(batch.column("text"), evaluation, rules.removing)
    rule = pc.binary_join_element_wise("decontamination", matches.field("set"), ":")
    threshold = pa.array([rules.min_item_share] * len(batch), pa.float64())
    shared = matches.field("ngrams").cast(pa.string())
    detail = pc.binary_join_element_wise("evaluation item ", _item_of(matches), ": ", shared, " n-grams shared", "")
    batch.judge(Verdicts(rule, matches.field("share"), threshold), detail)
    tolerated = frozenset(rules.sets) - rules.removing
    batch.put("evaluation_item", _item_of(decontaminate_documents(batch.column("text"), evaluation, tolerated)))


def _item_of(matches: pa.StructArray) -> pa.Array:
    """``set/item``, null where there is no match."""
    return pc.binary_join_element_wise(matches.field("set"), matches.field("item"), "/")


def _judge_prose(batch: _Batch, recipe: Recipe) -> None:
    """Gopher repetition, Gopher quality, C4 (which edits the text), FineWeb: the order of FineWeb."""
    gopher = (recipe.gopher_repetition, recipe.gopher_quality)
    counters = count_for(batch.column("text"), *gopher)
    batch.judge(judge_prose(counters, *gopher, languages=batch.column("language")))
    cleaned = clean_c4_lines(batch.column("text"), recipe.c4)
    verdicts = judge_prose(cleaned.counters, recipe.c4)
    batch.put("text", cleaned.texts.cast(pa.string()))
    batch.judge(verdicts)
    _judge_emptiness(batch)
    batch.judge(judge_prose(count_for(batch.column("text"), recipe.fineweb), recipe.fineweb))


def _main_texts(pages: pa.Array) -> pa.Array:
    texts, _ = extract_main_texts(pages)
    return texts


def _judge_emptiness(batch: _Batch) -> None:
    empty = np.asarray(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(batch.column("text"))), 0))
    batch.judge(Verdicts.first([Check("no_text", np.zeros(len(empty)), empty, 1.0)], len(empty)))


def _documents(batch: _Batch, recipe: Recipe) -> pa.Table:
    """Scrub what is left and lay it out as documents."""
    secrets = scrub_secrets(batch.column("text"), recipe.secrets)
    personal = scrub(secrets.texts, recipe.pii)
    texts = personal.texts
    counters = count_texts(texts, ("chars", "words", "lines"))
    count = len(batch)
    columns = {
        "outcome": pa.array([DOCUMENT] * count, pa.string()),
        "document_id": batch.column("document_id"),
        "object_key": pa.array([batch.origin.object_key] * count, pa.string()),
        **{name: batch.column(name) for name in ("record_path", "url", "media_type", "kind", "language")},
        "language_score": batch.column("language_score"),
        "encoding": batch.column("encoding"),
        "license": detect_licenses(texts),
        "text": texts,
        "text_bytes": pc.binary_length(texts).cast(pa.int64()),
        "content_hash": content_hashes(texts),
        "char_count": counters["chars"],
        "word_count": counters["words"],
        "line_count": counters["lines"],
        "pii_counts": _add_counts(personal.counts, secrets.counts),
        "toxicity_score": batch.column("toxicity_score"),
        "evaluation_item": batch.column("evaluation_item"),
        **{field.name: pa.nulls(count, field.type) for field in _REMOVAL},
    }
    return pa.table(columns, schema=OUTCOMES)


def _add_counts(first: pa.MapArray, second: pa.MapArray) -> pa.MapArray:
    """Sum of two columns of counts, row by row."""
    summed = []
    for left, right in zip(first.to_pylist(), second.to_pylist(), strict=True):
        counts = Counter(dict(left or ())) + Counter(dict(right or ()))
        summed.append(sorted(counts.items()))
    return pa.array(summed, pa.map_(pa.string(), pa.int32()))


def _ids(origin: _Origin, record_paths: pa.Array, texts: pa.Array) -> pa.Array:
    count = len(record_paths)
    return document_ids(
        pa.array([origin.source] * count, pa.string()),
        pa.array([origin.object_key] * count, pa.string()),
        record_paths,
        texts,
    )


def _removals(
    origin: _Origin,
    document_id: pa.Array,
    record_path: pa.Array,
    url: pa.Array,
    disposition: pa.Array,
    rule: pa.Array,
    score: pa.Array,
    threshold: pa.Array,
    detail: pa.Array,
) -> pa.Table:
    count = len(document_id)
    columns = {
        "outcome": pa.array([REMOVAL] * count, pa.string()),
        "document_id": document_id,
        "object_key": pa.array([origin.object_key] * count, pa.string()),
        "record_path": record_path,
        "url": url,
        **{field.name: pa.nulls(count, field.type) for field in _DOCUMENT},
        "disposition": disposition,
        "rule": rule,
        "score": score,
        "threshold": threshold,
        "detail": detail,
    }
    return pa.table(columns, schema=OUTCOMES)
