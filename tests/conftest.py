"""Hypothesis: random examples for people, the same ones every time in CI, where a new find must not stop a merge."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
