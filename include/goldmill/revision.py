"""Which code runs: for reports, specs and lineage."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from goldmill import __version__


@cache
def code_revision() -> str:
    """The release, with the git commit where the code runs from a checkout, or ``GOLDMILL_REVISION`` if it is set."""
    revision = os.environ.get("GOLDMILL_REVISION")
    if revision:
        return revision
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{found}"
