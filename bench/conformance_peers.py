"""What the toolkits' own packages say about documents, for ``bench/conformance.py``; no command of its own.

Reads JSON lines from a file, writes one line of JSON a document: toolkit, mode -> family -> reason, or attribute ->
score.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def main(toolkit: str, source: str) -> None:
    """Judge all documents of a file with one toolkit."""
    judge = {"datatrove": datatrove, "dolma": dolma}[toolkit]
    with Path(source).open() as lines:
        for verdict in judge(json.loads(line) for line in lines):
            print(json.dumps(verdict))


def datatrove(documents: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Reasons of its filters: given our words and sentences, and with its own."""
    import spacy  # noqa: F401
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    filters = {
        "gopher_repetition": GopherRepetitionFilter(),
        "gopher_quality": GopherQualityFilter(),
        "c4": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": FineWebQualityFilter(),
    }
    word_modules = (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter)
    own_words, own_sentences = gopher_quality_filter.split_into_words, c4_filters.split_into_sentences

    def use(words: Callable[..., Any], sentences: Callable[..., Any]) -> None:
        for module in word_modules:
            module.split_into_words = words
        c4_filters.split_into_sentences = sentences

    for given in documents:
        verdict: dict[str, Any] = {}
        for mode in ("given", "shipped"):
            if mode == "given":
                use(
                    lambda _, __, words=given["words"]: words,
                    lambda line, _, counts=given["sentences"]: [""] * counts[line],
                )
            elif given["shipped"]:
                use(own_words, own_sentences)
            else:
                continue
            reasons: dict[str, Any] = {}
            for family, one in filters.items():
                document = Document(text=given["text"], id="")
                try:
                    kept = one.filter(document)
                    reasons[family] = None if kept is True else kept[1]
                except (ZeroDivisionError, ValueError) as error:
                    reasons[family] = type(error).__name__
                if family == "c4" and reasons[family] is None:
                    reasons["c4 text"] = document.text
            verdict[mode] = reasons
        yield verdict


def dolma(documents: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Attributes of its taggers gopher_v2 and c4_v2; what is left without the lines that the latter tags."""
    from dolma.core.data_types import Document
    from dolma.taggers.c4 import FasterC4Tagger
    from dolma.taggers.gopher import GopherTaggerV2

    for given in documents:
        document = Document(source="", id="", text=given["text"])
        gopher = {span.type: span.score for span in GopherTaggerV2().predict(document).spans}
        tags = FasterC4Tagger().predict(document).spans
        dropped = {(span.start, span.end) for span in tags if span.type.startswith("lines_with_")}
        left, at = "", 0
        for start, end in sorted(dropped):
            left += given["text"][at:start]
            at = end
        yield {
            "gopher": gopher,
            "c4": {span.type: 1 for span in tags if span.type.startswith("has_")},
            "c4 text": left + given["text"][at:],
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
