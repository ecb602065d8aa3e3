"""Machine code belongs to the sources that it was made from, those of other modules too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba

from goldmill.text import compiled


def test_a_kernel_sees_a_change_in_another_module(tmp_path: Path) -> None:
    """Two modules, one compiled into the other: the second run must not use the first one's machine code."""
    package = tmp_path / "text"
    package.mkdir()
    source = Path(compiled.__file__).read_text()
    (package / "compiled.py").write_text(source)
    (package / "caller.py").write_text(
        "from compiled import compiled\nfrom called import value\n\n"
        "@compiled\ndef run() -> int:\n    return value()\n\nprint(run(), sum(run.stats.cache_hits.values()))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}

    def run(value: int) -> str:
        (package / "called.py").write_text(
            f"from compiled import inlined\n\n@inlined\ndef value() -> int:\n    return {value}\n"
        )
        command = [sys.executable, "-B", "caller.py"]
        return subprocess.run(
            command, cwd=package, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert run(1) == "1 0"
    assert run(1) == "1 1", "what has not changed is not compiled again"
    assert run(2) == "2 0"


def test_the_cache_of_this_process_is_that_of_its_sources() -> None:
    directory = Path(numba.config.CACHE_DIR)
    assert directory == compiled.cache_directory(Path(compiled.__file__).parent, directory.parent)
