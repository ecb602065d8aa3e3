"""Hypothesis: random examples for people, the same ones every time in CI, where a new find must not stop a merge.

Without its deadline, which fails an example that took 0.2 s: tests assert no seconds, and machines are busy at times.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("people", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "people")
