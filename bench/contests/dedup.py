"""Near duplicates: shingles, MinHash signatures, LSH at 14 bands of 8 rows, verified removal; one task on two cores.

Goldmill verifies by true Jaccard similarity, rensa by the similarity that its sketches estimate; datatrove
joins all candidate pairs into clusters and keeps one document of each. They get documents in memory and say which
of them they remove: ``bench/duplicates_truth.py`` judges that on a corpus whose duplicates are known.
"""

from __future__ import annotations

import multiprocessing
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contests import CORES, Contestant, Document, Result, Run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from goldmill.rules.deduplication import MinHashConfig

STAGE = "dedup"
CORPUS = "text"
UNIT = "MB/s/core"
BARS = {"datatrove": 50.0, "rensa": 5.0}
_BATCH = 512
_BANDS, _ROWS, _WORDS, _THRESHOLD = 14, 8, 5, 0.8


def _goldmill(documents: Sequence[Document]) -> Run:
    """The kernels of the stage without Spark; candidate pairs and stars as ``stages/deduplicate.py`` makes them."""
    import pyarrow as pa

    from goldmill.rules.deduplication import MinHashConfig

    config = MinHashConfig(bands=_BANDS, rows=_ROWS, shingle_words=_WORDS, jaccard_threshold=_THRESHOLD)
    texts = pa.array([document["text"] for document in documents], pa.large_string())
    _removed(texts[:_BATCH], config)

    def run() -> Callable[[], Result]:
        removed = _removed(texts, config)
        return lambda: _result(documents, removed)

    return run


def _removed(texts: pa.LargeStringArray, config: MinHashConfig) -> list[int]:
    """Rows that are similar to an earlier one that stays."""
    import numpy as np
    import pyarrow as pa

    from goldmill.text.minhash import jaccard, signatures

    def in_batches(kernel: Callable[..., Any], *columns: Any) -> pa.Array:
        starts = range(0, len(columns[0]), _BATCH)
        with ThreadPoolExecutor(CORES) as threads:
            return pa.concat_arrays(
                list(threads.map(lambda at: kernel(*(c[at : at + _BATCH] for c in columns)), starts))
            )

    sketches = in_batches(lambda batch: signatures(batch, config), texts)
    bands = sketches.field("bands").values.to_numpy().reshape(len(texts), config.bands)
    earlier, later = _candidate_pairs(bands)
    if not len(earlier):
        return []
    counts = sketches.field("shingle_count").to_numpy().astype(np.float64)
    # No more shingles can be shared than the smaller document has.
    smaller, larger = np.minimum(counts[earlier], counts[later]), np.maximum(counts[earlier], counts[later])
    possible = smaller / larger >= config.jaccard_threshold
    earlier, later = earlier[possible], later[possible]
    scores = in_batches(lambda a, b: jaccard(texts.take(pa.array(a)), texts.take(pa.array(b)), config), earlier, later)
    verified = scores.to_numpy() >= config.jaccard_threshold
    removed: set[int] = set()
    for one, other in zip(earlier[verified].tolist(), later[verified].tolist(), strict=True):
        # By later row, then by earlier one: whether the earlier stays is known.
        if one not in removed:
            removed.add(other)
    return sorted(removed)


def _candidate_pairs(bands: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of rows that share a band, the earlier one being among its first 32; in order of the later."""
    import numpy as np

    from goldmill.rules.deduplication import BUCKET_LEADERS

    # A band's hash covers its number: one list of all bands does.
    entries = np.argsort(bands, axis=None, kind="stable")
    hashes = bands.ravel()[entries]
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
    first = np.repeat(starts, np.diff(np.r_[starts, len(hashes)]))
    place = np.arange(len(hashes)) - first
    rows = entries // bands.shape[1]
    pairs = []
    for leader in range(BUCKET_LEADERS):
        behind = np.flatnonzero(place > leader)
        pairs.append(rows[behind] * len(bands) + rows[first[behind] + leader])
    return tuple(np.divmod(np.unique(np.concatenate(pairs)), len(bands))[::-1])


def _datatrove(documents: Sequence[Document]) -> Run:
    """The four steps, called without the executor, which would start processes and count their imports.

    With SHA-1 in 64 bits, as FineWeb did: its call of xxhash fails with versions of that library from 4 on.
    """
    from datatrove.data import Document as Native
    from datatrove.pipeline.dedup import minhash
    from datatrove.utils.hashing import HashConfig

    config = minhash.MinhashConfig(
        n_grams=_WORDS, num_buckets=_BANDS, hashes_per_bucket=_ROWS, hash_config=HashConfig(hash_fc="sha1")
    )
    native = [[Native(text=d["text"], id=d["id"]) for d in documents[rank::CORES]] for rank in range(CORES)]

    def run(native: list[list[Native]] = native) -> Callable[[], Result]:
        with tempfile.TemporaryDirectory() as folder:

            def sign(rank: int) -> None:
                minhash.MinhashDedupSignature(f"{folder}/signatures", config).run(native[rank], rank, CORES)

            def pair(rank: int) -> None:
                for bucket in range(rank, _BANDS, CORES):
                    step = minhash.MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)
                    step.run(None, bucket, _BANDS)

            def keep(rank: int) -> None:
                step = minhash.MinhashDedupFilter(f"{folder}/clusters")
                kept = [document.id for document in step.run(native[rank], rank, CORES)]
                Path(folder, str(rank)).write_text("\n".join(kept))

            _forked(sign)
            _forked(pair)
            minhash.MinhashDedupCluster(f"{folder}/buckets", f"{folder}/clusters", config=config).run(None, 0, 1)
            _forked(keep)
            kept = {name for rank in range(CORES) for name in Path(folder, str(rank)).read_text().split("\n")}
        return lambda: _result(documents, [row for row, d in enumerate(documents) if d["id"] not in kept])

    run([native[0][:20] for _ in range(CORES)])
    return run


def _rensa(documents: Sequence[Document]) -> Run:
    """Shingles cut in Python, sketched in two processes; its deduplicator keeps what resembles nothing before it."""
    import pickle

    import rensa

    word = re.compile(r"\w+")
    texts = [document["text"] for document in documents]

    def shingles(text: str) -> set[str]:
        words = word.findall(text.lower())
        return {" ".join(words[first : first + _WORDS]) for first in range(max(1, len(words) - _WORDS + 1))}

    def run(texts: list[str] = texts) -> Callable[[], Result]:
        with tempfile.TemporaryDirectory() as folder:

            def sketch(rank: int) -> None:
                mine = texts[rank::CORES]
                with Path(folder, str(rank)).open("wb") as file:
                    for batch in _batches(mine):
                        pickle.dump(rensa.RMinHash.from_token_sets(map(shingles, batch), _BANDS * _ROWS, 1), file)

            _forked(sketch)
            sketches: list[Any] = [None] * len(texts)
            for rank in range(CORES):
                with Path(folder, str(rank)).open("rb") as file:
                    sketches[rank::CORES] = [one for _ in _batches(texts[rank::CORES]) for one in pickle.load(file)]  # noqa: S301
        deduplicator = rensa.RMinHashDeduplicator(_THRESHOLD, _BANDS * _ROWS, use_lsh=True, num_bands=_BANDS, seed=1)
        kept = deduplicator.add_pairs([(str(row), one) for row, one in enumerate(sketches)])
        return lambda: _result(documents, [row for row, stays in enumerate(kept) if not stays])

    run(texts[:_BATCH])
    return run


def _forked(work: Callable[[int], None]) -> None:
    """Do the work of each rank in a process that shares what is loaded already."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=work, args=(rank,)) for rank in range(CORES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f"{work.__name__}: a process ended with {[process.exitcode for process in processes]}")


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH))


def _result(documents: Sequence[Document], removed: Sequence[int]) -> Result:
    return {"rows": len(documents) - len(removed), "removed": [documents[row]["id"] for row in removed]}


def judge(results: dict[str, list[Result]]) -> dict[str, dict[str, Any]]:
    """How many documents each removes; whether rightly, ``bench/duplicates_truth.py`` says."""
    return {name: {"removed": sum(len(one["removed"]) for one in workers)} for name, workers in results.items()}


CONTESTANTS = {
    "goldmill": Contestant(".venv-spark", _goldmill, 1, ("pyarrow", "numba", "numpy")),
    "datatrove": Contestant(".venv-peers", _datatrove, 1, ("datatrove", "spacy")),
    "rensa": Contestant(".venv-peers", _rensa, 1, ("rensa",)),
}
