"""Spark's daemon of Python workers, with the kernels loaded before it forks a worker.

A worker of its own would need seconds of processor time to import the kernels and to load their compiled code; a forked
one has them, and shares their memory. Spark starts it where ``spark.python.daemon.module`` names this module.
"""

from __future__ import annotations

import contextlib
import sys

import pyarrow as pa
from pyspark import daemon

from goldmill.landing.objects import LandedObject
from goldmill.landing.readers import Record
from goldmill.recipe import Recipe
from goldmill.rules.deduplication import MinHashConfig
from goldmill.text.minhash import jaccard, signatures
from goldmill.text.refine import refine_records


def load_kernels() -> None:
    """Run the kernels on a few words: compiled code is read from its cache when it is first called."""
    prose = "Some words, to load what is compiled. They are of no other use.\n" * 8
    landed = LandedObject("warm-up", "warm-up/a.txt", "warm-up", "text", 0, "")
    records = [
        Record("", "text/plain", prose.encode(), None, None, "a.txt"),
        Record("", "text/x-python", "import this\n", None, None, "a.py"),
        Record("", "text/html", f"<html><body><p>{prose}</p></body></html>", None, None, "a.html"),
    ]
    refine_records([(landed, record) for record in records], Recipe(name="warm-up"))
    texts, config = pa.array([prose, prose]), MinHashConfig()
    signatures(texts, config)
    jaccard(texts, texts, config)


if __name__ == "__main__":
    # Spark reads the daemon's port from its standard output: nothing else may stand there.
    with contextlib.redirect_stdout(sys.stderr):
        load_kernels()
    daemon.manager()
