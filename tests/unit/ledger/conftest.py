"""A ledger on SQLite and one on a Postgres server of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from goldmill.landing.objects import LandedObject
from goldmill.ledger.sql import SqlLedger


def _postgres_binaries() -> Path:
    """Directory of initdb and pg_ctl."""
    candidates = [Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt")]
    found = [path.parent for root in candidates for path in sorted(root.glob("*/bin/initdb"), reverse=True)]
    on_path = shutil.which("initdb")
    found += [Path(on_path).parent] if on_path else []
    if not found:
        pytest.skip("no PostgreSQL server is installed (no initdb); apt-get install postgresql, or brew install it")
    return found[0]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server that listens on a socket in a temporary directory only."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'psycopg[binary]'")
    binaries = _postgres_binaries()
    user = None
    directory = Path(tempfile.mkdtemp(prefix="goldmill-pg-", dir="/tmp"))
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("running as root, and there is no user `postgres` to run a PostgreSQL server as")
        os.chown(directory, user.pw_uid, user.pw_gid)
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]

    data = directory / "data"
    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "goldmill", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{directory}' -c fsync=off"
        control = str(binaries / "pg_ctl")
        run(control, "-D", str(data), "-w", "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield _database_that_sorts_as_people_do(f"postgresql+psycopg://goldmill@/postgres?host={directory}")
        finally:
            run(control, "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _database_that_sorts_as_people_do(server: str) -> str:
    """Address of a new database with a human sort order: the ledger must sort by code point all the same."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        has_icu = connection.scalar(text("SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'"))
        locale = "LOCALE_PROVIDER icu ICU_LOCALE 'en'" if has_icu else ""
        connection.execute(text(f"CREATE DATABASE ledger TEMPLATE template0 {locale}"))
    return server.replace("@/postgres?", "@/ledger?")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgres")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return url


@pytest.fixture
def ledger(ledger_url: str) -> SqlLedger:
    """An empty ledger."""
    return SqlLedger(ledger_url)


@pytest.fixture
def landed() -> Callable[..., LandedObject]:
    """Makes an object of the landing area, by key."""

    def make(key: str, etag: str = "1", size_bytes: int = 10) -> LandedObject:
        return LandedObject(f"/landing/{key}", key, key.split("/")[0], "text", size_bytes, etag)

    return make
