from collections.abc import Callable
from pathlib import Path

import pytest

from goldmill.landing.objects import land_file
from goldmill.landing.readers import Fault, ReadLimits, Record, read_records

Read = Callable[..., list[Record | Fault]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Land ``content`` under ``key`` and read it back."""

    def land_and_read(key: str, content: bytes, **limits: object) -> list[Record | Fault]:
        landed = land_file(content, str(tmp_path / "landing"), f"source/{key}")
        return list(read_records(landed, ReadLimits.model_validate(limits)))

    return land_and_read
