"""One worker of a contest, started by ``bench/contest.py``; no command of its own.

Says ``ready`` when its documents are in memory and it is warm, begins on ``go``, ends with one line of JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import sys
import time


def main(stage: str, name: str, worker: int, megabytes: float | None) -> None:
    """Take part in a contest as one of the contestant's workers."""
    # Whatever a library prints goes to the log: the parent reads results alone.
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    import corpora
    from contests import contest

    module = contest(stage)
    contestant = module.CONTESTANTS[name]
    documents = corpora.read(module.CORPUS, megabytes)[worker :: contestant.workers]
    content = corpora.CONTENT[module.CORPUS]
    facts = {
        "documents": len(documents),
        "bytes": sum(len(document[content].encode()) for document in documents),
        "versions": {package: importlib.metadata.version(package) for package in contestant.packages},
    }
    run = contestant.prepare(documents)
    del documents
    results.write("ready\n")
    sys.stdin.readline()
    processor = _processor_seconds()
    result = run()
    ended = time.monotonic()
    facts |= {"ended": ended, "cpu_seconds": _processor_seconds() - processor}
    facts["result"] = result() if callable(result) else result
    results.write(json.dumps(facts) + "\n")


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if sys.argv[4] else None)
