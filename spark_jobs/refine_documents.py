"""Read the claimed objects of a build, judge and scrub their records; writes `documents` and `removals`."""

from __future__ import annotations

from goldmill.stages.job import run_stage
from goldmill.stages.refine import refine_documents

if __name__ == "__main__":
    run_stage(refine_documents)
