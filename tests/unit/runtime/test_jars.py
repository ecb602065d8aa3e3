"""Pinned jars: from the cache, checked, whole or not at all. Nothing is fetched here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from goldmill.runtime.jars import Jar, JarError, check_jar, install_jars, pinned_jars

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"not really a jar"
JAR = Jar("org.example:tool_2.13:1.0", hashlib.sha256(CONTENT).hexdigest())


def test_the_lock_pins_what_spark_needs() -> None:
    jars = pinned_jars()
    names = " ".join(jar.coordinate for jar in jars)
    for part in ("iceberg-spark-runtime-4.0_2.13", "openlineage-spark_2.13", "sqlite-jdbc", "org.postgresql"):
        assert part in names
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


def test_a_cached_jar_is_installed_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    cache, into = tmp_path / "cache", tmp_path / "jars"
    cache.mkdir()
    (cache / "org.example_tool_2.13-1.0.jar").write_bytes(CONTENT)
    (installed,) = install_jars(into, cache, [JAR])
    assert installed.read_bytes() == CONTENT
    installed.write_bytes(b"damaged")
    install_jars(into, cache, [JAR])
    assert installed.read_bytes() == CONTENT
    assert [path.name for path in into.iterdir()] == [installed.name]


def test_a_wrong_hash_names_jar_hashes_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / JAR.file_name
    path.write_bytes(b"something else")
    with pytest.raises(JarError) as raised:
        check_jar(path, JAR)
    for part in (JAR.coordinate, JAR.sha256, hashlib.sha256(b"something else").hexdigest(), "Delete it"):
        assert part in str(raised.value)
