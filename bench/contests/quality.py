"""Gopher repetition, Gopher quality, C4 and FineWeb, in FineWeb's order: ours against datatrove's filters.

datatrove takes part twice: as shipped, where spaCy cuts the words, and given words cut at white space and sentences
cut by one regular expression, which leaves its rules alone on the clock. All texts are judged as English; C4 keeps
lines without terminal punctuation, as FineWeb has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contests import Contestant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STAGE = "quality"
CORPUS = "text"
UNIT = "MB/s/core"
BARS = {"datatrove": 60.0, "datatrove, words at white space": 20.0}
_BATCH_BYTES = 4 * 2**20


def _ours(documents: Sequence[dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    import pyarrow as pa

    from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
    from goldmill.text.c4 import clean_c4_lines
    from goldmill.text.quality import count_for, judge_prose

    gopher, c4, fineweb = (GopherRepetitionRules(), GopherQualityRules()), C4Rules(), FineWebRules()

    def kept(texts: pa.Array) -> int:
        texts = texts.filter(judge_prose(count_for(texts, *gopher), *gopher).passed)
        cleaned = clean_c4_lines(texts, c4)
        texts = cleaned.texts.filter(judge_prose(cleaned.counters, c4).passed)
        return judge_prose(count_for(texts, fineweb), fineweb).rule.null_count

    batches = []
    batch: list[str] = []
    size = 0
    for document in documents:
        batch.append(document["text"])
        size += len(document["text"])
        if size >= _BATCH_BYTES:
            batches.append(pa.array(batch))
            batch, size = [], 0
    if batch:
        batches.append(pa.array(batch))
    kept(batches[0])

    def run() -> dict[str, Any]:
        return {"rows": len(documents), "kept": sum(map(kept, batches))}

    return run


def _datatrove(documents: Sequence[dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    filters = (
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    )

    def kept(texts: Iterator[str]) -> int:
        left: Any = (Document(text=text, id="") for text in texts)
        for one in filters:
            left = one.run(left)
        return sum(1 for _ in left)

    texts = [document["text"] for document in documents]
    kept(iter(texts[:32]))

    def run() -> dict[str, Any]:
        return {"rows": len(texts), "kept": kept(iter(texts))}

    return run


def _datatrove_spaced(documents: Sequence[dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    import re

    from datatrove.utils import word_tokenizers

    sentence = re.compile(r"[^.!?]*[.!?]*")

    class Spaces:
        """Cuts words at white space and sentences behind end marks."""

        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [found.span() for found in sentence.finditer(text) if found.end() > found.start()]

    word_tokenizers.load_word_tokenizer = lambda _: Spaces()
    return _datatrove(documents)


CONTESTANTS = {
    "goldmill": Contestant(".venv-spark", _ours, packages=("numba", "pyarrow")),
    "datatrove": Contestant(".venv-peers", _datatrove, packages=("datatrove", "spacy")),
    "datatrove, words at white space": Contestant(".venv-peers", _datatrove_spaced, packages=("datatrove",)),
}


def judge(results: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Share of documents that pass all rules."""
    return {
        name: {"kept": sum(worker["kept"] for worker in workers) / sum(worker["rows"] for worker in workers)}
        for name, workers in results.items()
    }
