"""Recall, precision and loss by source of near-duplicate removal, on real documents with injected duplicates.

Real English documents are given copies: exact ones, ones with 1, 2 and 5 % of their words replaced, ones under another
header. Others get boilerplate in common that is most of their text, so that half of their shingles agree and they still
are no duplicates. Truth is the Jaccard similarity over sets of five words of every pair that shares any, counted here
without the kernels. Goldmill (kernels), datatrove and rensa remove what they take for duplicates, each at 14 bands of 8
rows, from the same file in the same order.

  recall        of the pairs with a similarity of at least 0.9, those of which a document went
  at 0.8        the same for all pairs of at least 0.8, the threshold
  precision     of the removed documents, those with a document that stays at 0.8 or more
  excess        the most that a source lost beyond its documents that have a duplicate anywhere
  boilerplate   documents lost of those that have boilerplate alone in common

Fails when Goldmill has a recall below 0.99, a precision below 0.999 or any excess.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, machine, parser, show, table, use_environment
from contests import contest

_WORD = re.compile(r"[^\W_]+")
_THRESHOLD, _NEAR = 0.8, 0.9
_SHAPES = ((14, 8), (20, 7), (25, 6), (32, 8))
_EDITS = {"1 %": 0.01, "2 %": 0.02, "5 %": 0.05}


def main() -> int:
    """Parse the command line, make the corpus, let each remove, judge."""
    if sys.argv[1:2] == ["--worker"]:
        _remove(*sys.argv[2:])
        return 0
    made = parser(__doc__)
    made.add_argument("--documents", type=int, default=3000, help="real documents (%(default)s)")
    made.add_argument("--seed", type=int, default=1, help="chooses the edits (%(default)s)")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    corpora.build()
    facts = machine() | {"seed": given.seed}
    documents = _documents(given.documents, given.seed)
    similar = _similar_pairs([shingles(document["text"]) for document in documents])
    rows = []
    for name, contestant in contest("dedup").CONTESTANTS.items():
        removed, seconds = _run(name, contestant.environment, documents)
        rows.append({"toolkit": name, **_judged(documents, similar, removed), "seconds": seconds})
    shapes = _shapes(documents, similar)
    ours = rows[0]
    failed = ours["recall"] < 0.99 or ours["precision"] < 0.999 or ours["excess"] > 0
    kinds = Counter(document["kind"] for document in documents)
    show(
        {"machine": facts, "documents": dict(kinds), "toolkits": rows, "shapes": shapes},
        [
            f"{len(documents)} documents: {', '.join(f'{kind} {count}' for kind, count in kinds.items())}",
            table(list(rows[0]), [_cells(row) for row in rows]),
            table(list(shapes[0]), [_cells(row) for row in shapes]),
        ],
        as_json=given.json,
    )
    return 1 if failed else 0


def _cells(row: dict[str, Any]) -> list[Any]:
    """Shares with the places that count."""
    return [
        f"{v:.4f}" if isinstance(v, float) and not key.endswith(("seconds", "CPU s")) else v for key, v in row.items()
    ]


def _documents(count: int, seed: int) -> list[dict[str, Any]]:
    """The corpus, in an order drawn by lot; ``kind`` says what was done to a document."""
    rng = random.Random(seed)  # noqa: S311
    real = [d for d in corpora.read("text", 60) if d["language"] == "en" and len(_WORD.findall(d["text"])) >= 150]
    made = []
    for number, document in enumerate(rng.sample(real, count)):
        text, source = document["text"], document["source"]
        made.append({"text": text, "source": source, "kind": "real"})
        # Each fourth document gets one copy of some kind, which another source delivers.
        kind = ("exact", "header", *_EDITS)[number // 4 % 5] if number % 4 == 0 else None
        if kind == "exact":
            made.append({"text": text, "source": f"mirror {number % 3}", "kind": kind})
        elif kind == "header":
            header = (
                f"Archive copy {rng.randrange(10**6)} of page {number}\nRetrieved in {rng.randrange(1990, 2030)}\n\n"
            )
            made.append({"text": header + text.partition("\n")[2], "source": f"mirror {number % 3}", "kind": kind})
        elif kind is not None:
            made.append({"text": edited(text, rng, _EDITS[kind]), "source": f"mirror {number % 3}", "kind": kind})
    # The words of one real document around short pieces of others: 60 to 70 % of the shingles of two are the same.
    boilerplate = " ".join(_WORD.findall(rng.choice(real)["text"])[:150])
    for document in rng.sample(real, count // 10):
        words = document["text"].split()
        start = rng.randrange(max(1, len(words) - 60))
        own = " ".join(words[start : start + rng.randrange(25, 45)])
        made.append({"text": f"{boilerplate}\n{own}\n", "source": "site", "kind": "boilerplate"})
    rng.shuffle(made)
    return [document | {"id": f"{row:06d}"} for row, document in enumerate(made)]


def edited(text: str, rng: random.Random, share: float) -> str:
    """``text`` with a share of its words replaced, at least one."""
    words = text.split(" ")
    for place in rng.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = f"edit{rng.randrange(10**6)}"
    return " ".join(words)


def shingles(text: str) -> set[tuple[str, ...]]:
    """Its sets of five words; of all words where there are fewer."""
    words = _WORD.findall(text.lower())
    return {tuple(words[first : first + 5]) for first in range(max(1, len(words) - 4))}


def _similar_pairs(sets: list[set[tuple[str, ...]]]) -> dict[tuple[int, int], float]:
    """Similarity of all pairs of at least the threshold."""
    holders: dict[tuple[str, ...], list[int]] = {}
    for row, own in enumerate(sets):
        for shingle in own:
            holders.setdefault(shingle, []).append(row)
    # Most shingles that documents share, they share with the same others.
    groups = Counter(tuple(rows) for rows in holders.values() if len(rows) > 1)
    shared: Counter[tuple[int, int]] = Counter()
    for rows, count in groups.items():
        for pair in combinations(rows, 2):
            shared[pair] += count
    found = {}
    for (a, b), count in shared.items():
        similarity = count / (len(sets[a]) + len(sets[b]) - count)
        if similarity >= _THRESHOLD:
            found[a, b] = similarity
    return found


def _run(name: str, environment: str, documents: list[dict[str, Any]]) -> tuple[set[int], float]:
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder, "documents.json"), Path(folder, "removed.json")
        given.write_text(json.dumps(documents))
        python = ROOT / environment / "bin" / "python"
        quiet = os.environ | {"LOGURU_LEVEL": "WARNING"}
        command = [python, __file__, "--worker", name, given, got]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=quiet)
        result = json.loads(got.read_text())
    if not result["rows"]:
        raise SystemExit(f"{name} ended without a row")
    return {int(document) for document in result["removed"]}, result["seconds"]


def _remove(name: str, given: str, got: str) -> None:
    run = contest("dedup").CONTESTANTS[name].prepare(json.loads(Path(given).read_text()))
    started = time.monotonic()
    result = run()
    seconds = time.monotonic() - started
    Path(got).write_text(json.dumps((result() if callable(result) else result) | {"seconds": seconds}))


def _judged(
    documents: list[dict[str, Any]], similar: dict[tuple[int, int], float], removed: set[int]
) -> dict[str, Any]:
    def recall(least: float) -> float:
        pairs = [pair for pair, similarity in similar.items() if similarity >= least]
        return sum(not removed.isdisjoint(pair) for pair in pairs) / len(pairs)

    has_duplicate = {row for pair in similar for row in pair}
    justified = {a for a, b in similar if b not in removed} | {b for a, b in similar if a not in removed}
    lost = Counter(documents[row]["source"] for row in removed)
    may_lose = Counter(documents[row]["source"] for row in has_duplicate)
    boilerplate = {row for row, d in enumerate(documents) if d["kind"] == "boilerplate"} - has_duplicate
    return {
        "removed": len(removed),
        "recall": recall(_NEAR),
        "at 0.8": recall(_THRESHOLD),
        "precision": len(removed & justified) / max(1, len(removed)),
        "excess": max((count - may_lose[source] for source, count in lost.items()), default=0),
        "boilerplate": f"{len(removed & boilerplate)} of {len(boilerplate)}",
    }


def _shapes(documents: list[dict[str, Any]], similar: dict[tuple[int, int], float]) -> list[dict[str, Any]]:
    """What other bands and rows would find, and cost."""
    import pyarrow as pa

    from goldmill.rules.deduplication import MinHashConfig
    from goldmill.text.minhash import signatures

    texts = pa.array([document["text"] for document in documents], pa.large_string())
    rows = []
    for bands, band_rows in _SHAPES:
        config = MinHashConfig(bands=bands, rows=band_rows)
        started = time.process_time()
        sketches = [frozenset(row) for row in signatures(texts, config).field("bands").to_pylist()]
        seconds = time.process_time() - started
        buckets: dict[int, list[int]] = {}
        for row, own in enumerate(sketches):
            for band in own:
                buckets.setdefault(band, []).append(row)
        candidates = {pair for held in buckets.values() for pair in combinations(held, 2)}
        found: dict[str, Any] = {"bands": bands, "rows": band_rows, "candidates": len(candidates)}
        for low, high in ((0.8, 0.85), (0.85, 0.9), (0.9, 1.1)):
            pairs = [pair for pair, similarity in similar.items() if low <= similarity < high]
            found[f"found of {low} on"] = sum(pair in candidates for pair in pairs) / max(1, len(pairs))
        rows.append(found | {"signatures CPU s": seconds})
    return rows


if __name__ == "__main__":
    sys.exit(main())
