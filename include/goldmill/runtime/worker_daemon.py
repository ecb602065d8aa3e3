"""Spark's daemon of Python workers, with the kernels loaded before it forks a worker.

A worker of its own would need seconds of processor time to import the kernels and to load their compiled code; a forked
one has them, and shares their memory. Spark starts it where ``spark.python.daemon.module`` names this module, and
``spark.executorEnv.GOLDMILL_JOB`` the job.
"""

from __future__ import annotations

import contextlib
import os
import sys

import pyarrow as pa
from pyspark import daemon

from goldmill.landing.objects import LandedObject
from goldmill.landing.readers import Record
from goldmill.recipe import Recipe
from goldmill.rules.deduplication import MinHashConfig
from goldmill.rules.packing import PackingRules
from goldmill.text.minhash import jaccard, signatures
from goldmill.text.packing import pack, shard_of, split_of
from goldmill.text.refine import refine_records

_PROSE = "Some words, to load what is compiled. They are of no other use.\n" * 8


def load_refine() -> None:
    """Run what ``refine_documents`` runs on a few words: compiled code is read from its cache when first called."""
    landed = LandedObject("warm-up", "warm-up/a.txt", "warm-up", "text", 0, "")
    records = [
        Record("", "text/plain", _PROSE.encode(), None, None, "a.txt"),
        Record("", "text/x-python", "import this\n", None, None, "a.py"),
        Record("", "text/html", f"<html><body><p>{_PROSE}</p></body></html>", None, None, "a.html"),
    ]
    refine_records([(landed, record) for record in records], Recipe(name="warm-up"))


def load_deduplicate() -> None:
    """The same for ``deduplicate_documents``."""
    texts, config = pa.array([_PROSE, _PROSE]), MinHashConfig()
    signatures(texts, config)
    jaccard(texts, texts, config)


def load_tokenize() -> None:
    """The same for ``tokenize_corpus``, but for the tokenizer itself, which the recipe chooses."""
    ids, tokens = pa.array(["a", "b"]), pa.array([[1, 2], [3]], pa.list_(pa.int32()))
    split_of(ids, 0, 0.5)
    shard_of(ids, 0, 2)
    pack(ids, tokens, PackingRules(), end_of_text_id=0, padding_id=0, seed=0, split="train", shard=0)


LOADERS = {
    "refine_documents": load_refine,
    "deduplicate_documents": load_deduplicate,
    "tokenize_corpus": load_tokenize,
}

if __name__ == "__main__":
    # Spark reads the daemon's port from its standard output: nothing else may stand there.
    with contextlib.redirect_stdout(sys.stderr):
        LOADERS[os.environ["GOLDMILL_JOB"]]()
    daemon.manager()
