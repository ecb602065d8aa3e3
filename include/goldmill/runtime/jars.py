"""The pinned Spark jars: fetched once a machine, checked by SHA-256, laid beside the lake.

Spark ships Apache Ivy; it fetches the jars, so that a company's own mirror is named where Ivy users name it: in an
`ivysettings.xml`, by the environment variable ``GOLDMILL_IVY_SETTINGS``. The jars land in a cache that all checkouts
of a user share (``$XDG_CACHE_HOME/goldmill/jars``), and from there in ``<home>/jars``.

    python -m goldmill.runtime.jars .goldmill/jars           # needs JAVA_HOME or java on PATH when the cache is cold
    python -m goldmill.runtime.jars --lock                   # after editing a version in jars.lock
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from goldmill.errors import GoldmillError
from goldmill.runtime.java import find_java

LOCK = Path(__file__).with_name("jars.lock")
IVY_SETTINGS = "GOLDMILL_IVY_SETTINGS"
_FETCH_SECONDS = 900


class JarError(GoldmillError):
    """A jar cannot be fetched, or is not the one that was pinned."""


@dataclass(frozen=True)
class Jar:
    """A jar by its Maven coordinate (``group:artifact:version``) and the SHA-256 of its bytes, in hex."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file: ``group_artifact-version.jar``."""
        group, artifact, version = self.coordinate.split(":")
        return f"{group}_{artifact}-{version}.jar"


def pinned_jars(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock file, a JSON object of SHA-256 by coordinate."""
    return [Jar(coordinate, sha256) for coordinate, sha256 in json.loads(lock.read_text()).items()]


def default_cache() -> Path:
    """The cache of all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "goldmill" / "jars"


def install_jars(into: Path, cache: Path | None = None, jars: list[Jar] | None = None) -> list[Path]:
    """Make ``into`` hold the pinned jars, from the cache where it has them, else fetched; returns their paths.

    A jar that is there already is hashed again: a damaged one is replaced, never used.

    Raises:
        JarError: a jar cannot be fetched, or what was fetched has another SHA-256 than the lock says.
        JavaMissing: something must be fetched and there is no Java to run Ivy.
    """
    cache = cache or default_cache()
    return [_install(jar, into, cache) for jar in (pinned_jars() if jars is None else jars)]


def check_jar(path: Path, jar: Jar) -> None:
    """Compare a file with its pin.

    Raises:
        JarError: the bytes are others.
    """
    found = _sha256(path)
    if found != jar.sha256:
        raise JarError(
            f"{jar.coordinate}: {path} has sha256 {found}, but jars.lock says {jar.sha256}. The file was damaged or "
            "replaced on its way. Delete it and try again; if the hash stays the same, the repository named by "
            f"{IVY_SETTINGS} (or Ivy's default) serves another file under this version: do not use it."
        )


def _install(jar: Jar, into: Path, cache: Path) -> Path:
    installed, cached = into / jar.file_name, cache / jar.file_name
    if _is_pinned(installed, jar):
        return installed
    if not _is_pinned(cached, jar):
        with _draft_beside(cached) as directory:
            fetched = _fetch(jar.coordinate, directory)
            check_jar(fetched, jar)
            fetched.replace(cached)
    with _draft_beside(installed) as directory:
        draft = directory / jar.file_name
        shutil.copyfile(cached, draft)
        check_jar(draft, jar)
        draft.replace(installed)
    return installed


def _draft_beside(path: Path) -> _Draft:
    path.parent.mkdir(parents=True, exist_ok=True)
    return _Draft(path.parent)


class _Draft:
    """A directory in the target's file system, so that the last step is a rename: nobody sees half a jar."""

    def __init__(self, parent: Path) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix=".fetch-", dir=parent)

    def __enter__(self) -> Path:
        return Path(self._directory.__enter__())

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()


def _fetch(coordinate: str, directory: Path) -> Path:
    group, artifact, version = coordinate.split(":")
    command = [str(find_java().home / "bin" / "java"), "-jar", str(_ivy()), "-warn"]
    settings = os.environ.get(IVY_SETTINGS)
    if settings:
        command += ["-settings", settings]
    # Fat jars and drivers: what they declare as dependencies they contain, or Spark has.
    command += ["-cache", str(directory / "ivy"), "-notransitive", "-types", "jar", "bundle"]
    command += ["-dependency", group, artifact, version]
    command += ["-retrieve", str(directory / "[organisation]_[artifact]-[revision].[ext]")]
    print(f"fetching {coordinate}", file=sys.stderr, flush=True)
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise JarError(
            f"{coordinate}: not fetched within {_FETCH_SECONDS} s. Check the network; behind a company mirror set "
            f"{IVY_SETTINGS} to an ivysettings.xml that names it."
        ) from error
    fetched = directory / Jar(coordinate, "").file_name
    if answer.returncode or not fetched.is_file():
        said = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-25:])
        raise JarError(
            f"{coordinate}: Ivy cannot fetch it. Check the network and the version; behind a company mirror set "
            f"{IVY_SETTINGS} to an ivysettings.xml that names it. Ivy said:\n{said}"
        )
    return fetched


def _ivy() -> Path:
    spec = importlib.util.find_spec("pyspark")
    found = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar"))
    if not found:
        raise JarError("Ivy is not here: it comes with pyspark. Run this with the Spark environment's Python.")
    return found[-1]


def _is_pinned(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lock() -> None:
    pins = {}
    for jar in pinned_jars():
        with tempfile.TemporaryDirectory() as directory:
            pins[jar.coordinate] = _sha256(_fetch(jar.coordinate, Path(directory)))
    LOCK.write_text(json.dumps(pins, indent=2) + "\n")


def main() -> int:
    """Install the jars (or lock them anew); 1 and the reason where that fails."""
    parser = argparse.ArgumentParser(description="Fetch the pinned Spark jars.")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("into", nargs="?", type=Path, help="directory to put them in")
    target.add_argument("--lock", action="store_true", help="fetch the versions in jars.lock and write their hashes")
    arguments = parser.parse_args()
    try:
        if arguments.lock:
            _lock()
        else:
            install_jars(arguments.into)
    except GoldmillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
