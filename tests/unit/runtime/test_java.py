"""Finding Java: real runtimes and real broken ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from goldmill.runtime import java
from goldmill.runtime.java import JavaMissing, find_java, wrap_wheel


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No runtime in the system's directories, and no wheel."""
    monkeypatch.setattr(java, "_LINUX_JAVA_HOMES", tmp_path / "none")
    monkeypatch.setattr(java, "_MACOS_JAVA_HOME", tmp_path / "none")
    monkeypatch.setattr(java, "WHEEL", "no_such_wheel")


def fake_java(home: Path, version: str) -> Path:
    """A home whose `java` prints the properties of a runtime of this version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '    java.home = {home}'\necho '    java.specification.version = {version}'\n")
    program.chmod(0o755)
    return home


@pytest.mark.usefixtures("bare_machine")
def test_java_home_comes_before_path_and_is_kept_as_named(tmp_path: Path) -> None:
    named, other = fake_java(tmp_path / "named", "21"), fake_java(tmp_path / "other", "17")
    found = find_java({"JAVA_HOME": str(named), "PATH": str(other / "bin")})
    assert (found.home, found.version, found.origin) == (named, 21, "JAVA_HOME")


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("version", ["1.8", "11", "25"])
def test_a_runtime_that_spark_does_not_run_on_is_passed_over(tmp_path: Path, version: str) -> None:
    refused, good = fake_java(tmp_path / "refused", version), fake_java(tmp_path / "good", "17")
    found = find_java({"JAVA_HOME": str(refused), "PATH": str(good / "bin")})
    assert found.home == good


@pytest.mark.usefixtures("bare_machine")
def test_what_was_found_and_the_remedy_are_named(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "old", "11")
    with pytest.raises(JavaMissing, match=r"JAVA_HOME: .*old/bin/java is Java 11.*make setup"):
        find_java({"JAVA_HOME": str(home), "PATH": ""})


@pytest.mark.usefixtures("bare_machine")
def test_a_stand_in_that_fails_is_no_java(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(JavaMissing, match="does not run"):
        find_java({"PATH": str(tmp_path)})


def test_the_wrapper_drops_the_missing_module_and_nothing_else(tmp_path: Path) -> None:
    runtime = fake_java(tmp_path / "a runtime", "21")
    program = runtime / "bin" / "java"
    program.write_text(program.read_text() + 'for a do echo "<$a>"; done\n')
    wrapped = wrap_wheel(runtime, tmp_path / "home")
    assert (wrapped.home, wrapped.version) == (tmp_path / "home", 21)
    arguments = ["-cp", "a b", "--add-modules=jdk.incubator.vector", "--add-opens=x", "Main", "*"]
    said = subprocess.run(
        [wrapped.home / "bin" / "java", *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert [line for line in said.splitlines() if line.startswith("<")] == [
        "<-cp>", "<a b>", "<--add-opens=x>", "<Main>", "<*>",
    ]  # fmt: skip
    assert os.access(wrapped.home / "bin" / "java", os.X_OK)
