"""The memory of a job is that of its processes together."""

from __future__ import annotations

import multiprocessing
import sys

import numpy as np
import psutil
import pytest

from goldmill.stages.job import _resident_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages are shared")
def test_pages_that_forked_workers_share_count_once() -> None:
    held = np.ones(64 * 2**20, np.uint8)
    context = multiprocessing.get_context("fork")
    end = context.Event()
    workers = [context.Process(target=end.wait) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        processes = [psutil.Process(), *(psutil.Process(worker.pid) for worker in workers)]
        together = sum(_resident_bytes(process) for process in processes)
        each = sum(process.memory_info().rss for process in processes)
    finally:
        end.set()
        for worker in workers:
            worker.join()
    assert together < each - 2 * held.nbytes
