"""Word lists that ship with the library."""

from __future__ import annotations

from importlib.resources import files


def read(name: str) -> frozenset[str]:
    """Words of ``goldmill/text/data/<name>``, separated by white space; lines that start with # are comments."""
    lines = files("goldmill.text").joinpath("data", name).read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
