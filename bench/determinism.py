"""The same input, whatever the number of partitions and workers: do the versions have the same digest?

Builds the demo's input, smaller, once for each pair of a number of partitions and a number of tasks at a time, each in
a home of its own. Exit code 1 if a digest differs, or a build does not publish.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from common import AIRFLOW_ENVIRONMENT, land_default_input, machine, parser, run_stages, show, table, use_environment


def main() -> int:
    """Parse the command line, build, compare."""
    arguments = parser(__doc__, megabytes=10)
    arguments.add_argument("--partitions", type=int, nargs="+", default=[1, 4, 16], help="(1 4 16)")
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="tasks at a time (1 2)")
    given = arguments.parse_args()
    use_environment(AIRFLOW_ENVIRONMENT)
    facts = machine()
    builds = []
    with tempfile.TemporaryDirectory(prefix="goldmill-bench-") as directory:
        landing = Path(directory) / "landing"
        input_bytes = land_default_input(landing, given.megabytes)
        for workers, partitions in itertools.product(given.workers, given.partitions):
            built = run_stages(landing, master=f"local[{workers}]", partitions=partitions)
            builds.append({"workers": workers, "partitions": partitions, **built})
            print(f"workers {workers}, partitions {partitions}: digest {built['digest']}", file=sys.stderr)
    digests = {build["digest"] for build in builds}
    equal = len(digests) == 1 and None not in digests
    results = {"machine": facts, "input_bytes": input_bytes, "equal": equal, "builds": builds}
    rows = [
        (
            build["workers"],
            build["partitions"],
            build["stages"]["tokenize"]["rows_out"],
            sum(stage["wall_seconds"] for stage in build["stages"].values()),
            (build["digest"] or "not published")[:16],
        )
        for build in builds
    ]
    verdict = "All digests are equal." if equal else "THE DIGESTS DIFFER."
    show(
        results, [table(("workers", "partitions", "documents", "wall s", "digest"), rows), verdict], as_json=given.json
    )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
