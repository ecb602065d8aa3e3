"""Remove duplicates from a build, compared with all history; writes `removals` and `signatures`."""

from __future__ import annotations

from goldmill.stages.deduplicate import deduplicate_documents
from goldmill.stages.job import run_stage

if __name__ == "__main__":
    run_stage(deduplicate_documents)
