"""From records as they were read to documents: decode, extract, judge, scrub. Pure: no I/O, no Spark.

Every record ends as one row of :data:`OUTCOMES`: a document, or a removal with the rule, or a quarantined record with
the error. Rules are judged in the order in which FineWeb applies them (arXiv 2406.17557, section 3), cheap ones first;
what one rule removes the next does not look at.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

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

    from goldmill.landing.objects import LandedObject
    from goldmill.recipe import Recipe
    from goldmill.text.decontamination import EvaluationIndex

PROSE, CODE = "prose", "code"
DOCUMENT, REMOVAL = "document", "removal"

_ORIGIN = [pa.field(name, pa.string()) for name in ("document_id", "source", "object_key", "record_path", "url")]
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


class _Batch:
    """Documents that are still in, and the rows that have left."""

    def __init__(self, table: pa.Table) -> None:
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
        gone = self.table.select([field.name for field in _ORIGIN]).filter(out)
        count = len(gone)
        self.left.append(
            _removals(
                gone,
                pa.array(["removed"] * count),
                verdicts.rule.filter(out),
                verdicts.score.filter(out),
                verdicts.threshold.filter(out),
                pa.nulls(count, pa.string()) if detail is None else detail.filter(out),
            )
        )
        self.table = self.table.filter(passed)


def refine_records(
    records: Sequence[tuple[LandedObject, Record | Fault]], recipe: Recipe, evaluation: EvaluationIndex | None = None
) -> pa.Table:
    """Mill one chunk of records.

    Args:
        records: what the readers yielded, each with the object that it came from; all of it is in memory at once.
            Kernels cost by the call too, so records of many small objects belong together.
        recipe: the rules.
        evaluation: items of the recipe's evaluation sets; None where it names none.

    Returns:
        Table of :data:`OUTCOMES`, as many rows as ``records``. Which records share a chunk changes no row.
    """
    batch = _decode(records)
    if len(batch):
        _extract(batch)
        _sample(batch, recipe)
        parts = [_refine_kind(_only(batch, kind), kind, recipe, evaluation) for kind in (PROSE, CODE)]
        documents = pa.concat_tables([_documents(part, recipe) for part in parts])
        removals = [*batch.left, *(left for part in parts for left in part.left)]
    else:
        documents = OUTCOMES.empty_table()
        removals = batch.left
    return pa.concat_tables([documents, *removals])


_DECODED = ("source", "object_key", "record_path", "url", "media_type", "encoding", "language", "file_name", "text")
_FAULTS = ("source", "object_key", "record_path", "url", "disposition", "rule", "detail")


def _decode(records: Sequence[tuple[LandedObject, Record | Fault]]) -> _Batch:
    rows: list[tuple[str | None, ...]] = []
    faults: list[tuple[str | None, ...]] = []
    for landed, record in records:
        source, key, path = landed.source, landed.object_key, record.record_path
        if isinstance(record, Fault):
            faults.append((source, key, path, None, record.disposition, record.code, record.message))
            continue
        if isinstance(record.payload, str):
            text, encoding = record.payload, "utf-8"
        else:
            try:
                decoded = decode(record.payload, record.declared_encoding, record.media_type)
            except DecodeError as error:
                message = f"{key}#{path}: {error}" if path else f"{key}: {error}"
                faults.append((source, key, path, record.url, "quarantined", error.code, message))
                continue
            text, encoding = decoded.text, decoded.encoding
        # Code has its language from the start; that of prose is identified later.
        language = programming_language(record.file_name, text.split("\n", 1)[0])
        rows.append((source, key, path, record.url, record.media_type, encoding, language, record.file_name, text))
    batch = _Batch(_strings(_DECODED, rows))
    batch.put("kind", pc.if_else(pc.is_valid(batch.column("language")), CODE, PROSE))
    if faults:
        broken = _strings(_FAULTS, faults)
        broken = broken.append_column("document_id", _ids(broken, pa.array([""] * len(broken))))
        without = pa.nulls(len(broken), pa.float64())
        batch.left.append(_removals(broken, broken["disposition"], broken["rule"], without, without, broken["detail"]))
    return batch


def _strings(names: Sequence[str], rows: Sequence[tuple[str | None, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))


def _extract(batch: _Batch) -> None:
    """Main text of HTML pages, Markdown without front matter; what holds no text leaves."""
    media_types, texts = batch.column("media_type"), batch.column("text")
    prose = pc.equal(batch.column("kind"), PROSE)
    for media_type, extract in (("text/html", _main_texts), ("text/markdown", drop_front_matter)):
        mask = pc.and_(prose, pc.equal(media_types, media_type))
        if pc.any(mask).as_py():
            texts = pc.replace_with_mask(texts, mask, extract(texts.filter(mask)).cast(pa.string()))
    batch.put("text", texts)
    batch.put("document_id", _ids(batch.table, texts))
    _judge_emptiness(batch)


def _sample(batch: _Batch, recipe: Recipe) -> None:
    """Keep each source's share of documents; the first 32 bits of the id, itself a hash, decide."""
    weights = np.array([recipe.source(source).weight for source in batch.column("source").to_pylist()], np.float64)
    if (weights >= 1).all():
        return
    lots = np.array([int(i[:8], 16) for i in batch.column("document_id").to_pylist()], np.uint64)
    drawn = ((lots * np.uint64(0x9E3779B97F4A7C15) + np.uint64(recipe.seed)) >> np.uint64(32)) / 2.0**32
    batch.judge(Verdicts.first([Check("source_weight", drawn, drawn >= weights, weights)], len(batch)))


def _only(batch: _Batch, kind: str) -> _Batch:
    return _Batch(batch.table.filter(pc.equal(batch.table["kind"], kind)))


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
        **{field.name: batch.column(field.name) for field in _ORIGIN},
        **{name: batch.column(name) for name in ("media_type", "kind", "language")},
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


def _ids(origin: pa.Table, texts: pa.Array) -> pa.Array:
    source, object_key, record_path = (
        origin[name].combine_chunks() for name in ("source", "object_key", "record_path")
    )
    return document_ids(source, object_key, record_path, texts)


def _removals(
    origin: pa.Table, disposition: pa.Array, rule: pa.Array, score: pa.Array, threshold: pa.Array, detail: pa.Array
) -> pa.Table:
    columns = {
        "outcome": pa.array([REMOVAL] * len(origin), pa.string()),
        **{field.name: origin[field.name] for field in _ORIGIN},
        **{field.name: pa.nulls(len(origin), field.type) for field in _DOCUMENT},
        "disposition": disposition,
        "rule": rule,
        "score": score,
        "threshold": threshold,
        "detail": detail,
    }
    return pa.table(columns, schema=OUTCOMES)
