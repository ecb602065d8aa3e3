"""Pack the documents of a build into token sequences; writes `sequences` and the files that trainers read."""

from __future__ import annotations

from goldmill.stages.job import run_stage
from goldmill.stages.tokenize import tokenize_corpus

if __name__ == "__main__":
    run_stage(tokenize_corpus)
