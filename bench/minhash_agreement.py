"""Do our sketches and datasketch's estimate the true Jaccard similarity equally well, over pairs of real documents?

A pair is a real document and a copy with some of its words replaced. Both sketch the same sets of five words with 112
minima. Independent permutations make a binomial count of equal minima, so that the error of the estimate has a standard
deviation of sqrt(J (1 - J) / 112).

  bias         mean of estimate minus truth, in standard errors of a binomial mean
  error        root of the mean squared error, by that of a binomial count: 1 is as good as independent permutations
  apart        pairs whose two estimates differ by more than four standard deviations of the difference of two binomials

Fails when our bias is over 4, our error over 1.1, or more than one pair in a thousand is apart.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, machine, parser, show, table, use_environment
from duplicates_truth import edited, shingles

_PEERS = ".venv-peers"
_MINIMA = 112
_SHARES = (0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.12)
_RANGES = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0))


def main() -> int:
    """Parse the command line, sketch with both, compare."""
    if sys.argv[1:2] == ["--worker"]:
        _datasketch(*sys.argv[2:])
        return 0
    made = parser(__doc__)
    made.add_argument("--pairs", type=int, default=4000, help="pairs of documents (%(default)s)")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    corpora.build()
    facts = machine()
    pairs = _pairs(given.pairs)
    sets = [[sorted(map(" ".join, shingles(text))) for text in pair] for pair in pairs]
    truth = [len({*a} & {*b}) / len({*a, *b}) for a, b in sets]
    ours, peer = _goldmill(pairs), _run_datasketch(sets)
    rows = []
    for low, high in _RANGES:
        chosen = [n for n, similarity in enumerate(truth) if low <= similarity < high]
        if chosen:
            rows.append(
                {"similarity": f"{low} to {high}", "pairs": len(chosen), **_compared(truth, ours, peer, chosen)}
            )
    apart = sum(row["apart"] for row in rows)
    failed = any(abs(row["bias, ours"]) > 4 or row["error, ours"] > 1.1 for row in rows) or apart > len(truth) / 1000
    show(
        {"machine": facts, "ranges": rows}, [table(list(rows[0]), [list(r.values()) for r in rows])], as_json=given.json
    )
    return 1 if failed else 0


def _pairs(count: int) -> list[tuple[str, str]]:
    rng = random.Random(1)  # noqa: S311
    # Sets that both toolkits see alike: words of ASCII letters and digits, and one space between them.
    texts = [
        " ".join(words)
        for document in corpora.read("text", 20)
        if document["language"] == "en"
        and len(words := [w for w in document["text"].lower().split() if _plain(w)]) > 60
    ]
    return [(text, edited(text, rng, rng.choice(_SHARES))) for text in rng.choices(texts, k=count)]


def _plain(word: str) -> bool:
    return word.isascii() and word.isalnum()


def _compared(truth: list[float], ours: list[float], peer: list[float], chosen: list[int]) -> dict[str, Any]:
    variances = [truth[n] * (1 - truth[n]) / _MINIMA for n in chosen]
    figures: dict[str, Any] = {}
    for name, estimates in (("ours", ours), ("datasketch", peer)):
        errors = [estimates[n] - truth[n] for n in chosen]
        figures[f"bias, {name}"] = sum(errors) / math.sqrt(sum(variances))
        figures[f"error, {name}"] = math.sqrt(sum(error**2 for error in errors) / sum(variances))
    bounds = zip(chosen, variances, strict=True)
    figures["apart"] = sum(abs(ours[n] - peer[n]) > 4 * math.sqrt(2 * variance) for n, variance in bounds)
    return figures


def _goldmill(pairs: list[tuple[str, str]]) -> list[float]:
    import pyarrow as pa

    from goldmill.rules.deduplication import MinHashConfig
    from goldmill.text.minhash import signatures

    # A band of one minimum is that minimum.
    config = MinHashConfig(bands=_MINIMA, rows=1)
    sketches = [
        signatures(pa.array(texts), config).field("bands").values.to_numpy().reshape(-1, _MINIMA)
        for texts in zip(*pairs, strict=True)
    ]
    return [float(share) for share in (sketches[0] == sketches[1]).mean(axis=1)]


def _run_datasketch(sets: list[list[list[str]]]) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder, "sets.json"), Path(folder, "estimates.json")
        given.write_text(json.dumps(sets))
        subprocess.run([ROOT / _PEERS / "bin" / "python", __file__, "--worker", given, got], check=True)
        return [float(estimate) for estimate in json.loads(got.read_text())]


def _datasketch(given: str, got: str) -> None:
    from datasketch import MinHash

    def sketch(tokens: list[str]) -> MinHash:
        made = MinHash(num_perm=_MINIMA)
        made.update_batch([token.encode() for token in tokens])
        return made

    sets = json.loads(Path(given).read_text())
    Path(got).write_text(json.dumps([float(sketch(a).jaccard(sketch(b))) for a, b in sets]))


if __name__ == "__main__":
    sys.exit(main())
