"""What the daemon of Python workers loads before it forks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldmill.runtime.worker_daemon import LOADERS


@pytest.mark.parametrize("job", sorted(LOADERS))
def test_each_job_has_kernels_that_load(job: str) -> None:
    LOADERS[job]()


def test_every_job_has_a_loader() -> None:
    jobs = Path(__file__).resolve().parents[3] / "spark_jobs"
    assert {path.stem for path in jobs.glob("*.py")} == set(LOADERS)
