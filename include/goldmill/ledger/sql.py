"""The ledger in a SQL database: SQLite on one machine, Postgres where many write to it.

All transactions that write are made one after the other (``BEGIN IMMEDIATE``, an advisory lock): there are a few a
minute, each takes milliseconds, and none can then see half of another. Claims so follow the order of arrival exactly
and use up their bytes, which ``SKIP LOCKED`` would not give: it hands the second of two builds whatever the first
has not locked yet. See docs/decisions/0002-ledger-transactions.md.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    case,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from goldmill.landing.objects import LandedObject
from goldmill.ledger.protocol import (
    Claim,
    ClaimLost,
    Count,
    LedgerError,
    ObjectsHeld,
    Quarantined,
    State,
    UnknownVersion,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, Engine

_BUSY_SECONDS = 60
# Objects looked up in one statement; SQLite takes 32 766 parameters at most.
_CHUNK = 1000
# Any constant will do, as long as nothing else in the database uses it for an advisory lock.
_ADVISORY_LOCK = 0x676F6C646D696C6C
_WRITES = "goldmill_writes"

_METADATA = MetaData()
# SQLite numbers rows by itself only where the key is INTEGER.
_ID = BigInteger().with_variant(Integer, "sqlite")
# Names sort by code point, as the landing area lists them, whatever language the database speaks.
_NAME = Text().with_variant(Text(collation="C"), "postgresql")

ARRIVALS = Table(
    "ledger_arrivals",
    _METADATA,
    Column("id", _ID, primary_key=True),
    Column("uri", _NAME, nullable=False),
    Column("etag", _NAME, nullable=False),
    Column("object_key", _NAME, nullable=False),
    Column("source", _NAME, nullable=False),
    Column("data_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # UTC in ISO 8601 with microseconds, which sorts as text: SQLite has no type for a time with a zone.
    Column("arrived_at", String(32), nullable=False),
    # One row of each uri is the newest.
    Column("is_newest", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    # What the state is again when the build that holds the object fails.
    Column("resting_state", String(16), nullable=False),
    # The unfinished build that holds the object.
    Column("build_id", _NAME),
    Column("claimed_at", String(32)),
    # The last version that the object was built into.
    Column("version", _NAME),
    Column("error", Text),
    UniqueConstraint("uri", "etag"),
    Index("ledger_arrivals_by_state", "state", "arrived_at", "object_key"),
    Index("ledger_arrivals_by_build", "build_id"),
)
VERSION_OBJECTS = Table(
    "ledger_version_objects",
    _METADATA,
    Column("version", _NAME, primary_key=True),
    Column("build_id", _NAME, primary_key=True),
    Column("arrival_id", _ID, ForeignKey(ARRIVALS.c.id), primary_key=True),
)
TURNS = Table(
    "ledger_turns",
    _METADATA,
    Column("corpus", _NAME, primary_key=True),
    Column("build_id", _NAME, nullable=False),
    Column("taken_at", String(32), nullable=False),
)

_OBJECT = [ARRIVALS.c[name] for name in ("uri", "object_key", "source", "data_type", "size_bytes", "etag")]
_IN_ORDER = (ARRIVALS.c.arrived_at, ARRIVALS.c.object_key, ARRIVALS.c.id)


class SqlLedger:
    """A :class:`goldmill.ledger.protocol.Ledger` on SQLAlchemy. May be used from any process and thread."""

    def __init__(self, url: str) -> None:
        """Open the ledger at a SQLAlchemy address and create its tables where they are missing.

        Raises:
            LedgerError: the address is not one of SQLite or Postgres, or nobody answers there.
        """
        self._url = _checked(url)
        # No pool: the ledger is used a few times a minute, and a pooled connection must not live through a fork.
        engine = create_engine(self._url, poolclass=NullPool, **self._options())
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        self._engine: Engine = engine
        self._writer: Engine = engine.execution_options(**{_WRITES: True})
        with self._read() as connection:
            is_new = not inspect(connection).has_table(TURNS.name)
        if is_new:
            with self._write() as connection:
                _METADATA.create_all(connection)

    def record(self, objects: Iterable[LandedObject]) -> int:
        """See :meth:`Ledger.record`."""
        # Listed to the end first, as that may take minutes; an object that is named twice counts once, as it is last.
        landed = {item.uri: item for item in objects}
        arrived_at = _now()
        news = 0
        with self._write() as connection:
            for chunk in _chunks(landed.values()):
                new = _unknown(connection, chunk)
                _make_newest(connection, new, arrived_at)
                news += len(new)
        return news

    def unknown(self, objects: Iterable[LandedObject]) -> Iterator[LandedObject]:
        """See :meth:`Ledger.unknown`."""
        for chunk in _chunks(objects):
            with self._read() as connection:
                found = _unknown(connection, chunk)
            yield from found

    def claim(
        self, build_id: str, max_bytes: int | None = None, sources: Collection[str] | None = None
    ) -> list[LandedObject]:
        """See :meth:`Ledger.claim`."""
        with self._write() as connection:
            held = _objects(connection, ARRIVALS.c.build_id == build_id)
            if held:
                # The build begins anew, so what it could not read before gets another try.
                connection.execute(update(ARRIVALS).where(ARRIVALS.c.build_id == build_id).values(state=State.CLAIMED))
                return held
            wanted = ARRIVALS.c.state == State.RECORDED
            if sources is not None:
                wanted &= ARRIVALS.c.source.in_(sources)
            rows = connection.execute(select(ARRIVALS.c.id, ARRIVALS.c.size_bytes).where(wanted).order_by(*_IN_ORDER))
            taken: list[int] = []
            total = 0
            for arrival_id, size_bytes in rows:
                total += size_bytes
                if taken and max_bytes is not None and total > max_bytes:
                    break
                taken.append(arrival_id)
            rows.close()
            _hold(connection, build_id, taken)
            return _objects(connection, ARRIVALS.c.build_id == build_id)

    def reclaim(self, build_id: str, versions: Collection[str]) -> list[LandedObject]:
        """See :meth:`Ledger.reclaim`."""
        with self._write() as connection:
            members = select(VERSION_OBJECTS.c.arrival_id).where(VERSION_OBJECTS.c.version.in_(versions))
            known = set(
                connection.scalars(
                    select(VERSION_OBJECTS.c.version).where(VERSION_OBJECTS.c.version.in_(versions)).distinct()
                )
            )
            if missing := sorted(set(versions) - known):
                raise UnknownVersion(
                    f"build {build_id}: the ledger knows no object of version {', '.join(missing)}; "
                    "name a version that `goldmill versions` lists"
                )
            wanted = ARRIVALS.c.id.in_(members)
            holder = connection.scalar(
                select(func.min(ARRIVALS.c.build_id)).where(wanted, ARRIVALS.c.build_id != build_id)
            )
            if holder is not None:
                raise ObjectsHeld(
                    f"build {build_id}: objects of version {', '.join(sorted(versions))} are held by build {holder}; "
                    "wait for it to end, then start again"
                )
            connection.execute(
                update(ARRIVALS).where(wanted).values(state=State.CLAIMED, build_id=build_id, claimed_at=_now())
            )
            return _objects(connection, ARRIVALS.c.build_id == build_id)

    def objects_of(self, build_id: str) -> list[LandedObject]:
        """See :meth:`Ledger.objects_of`."""
        with self._read() as connection:
            return _objects(connection, ARRIVALS.c.build_id == build_id)

    def claims(self) -> list[Claim]:
        """See :meth:`Ledger.claims`."""
        columns = ARRIVALS.c
        query = (
            select(columns.build_id, func.count(), _sum(columns.size_bytes), func.min(columns.claimed_at))
            .where(columns.build_id.is_not(None))
            .group_by(columns.build_id)
            .order_by(columns.build_id)
        )
        with self._read() as connection:
            return [Claim(*row) for row in connection.execute(query)]

    def quarantine(self, build_id: str, uri: str, etag: str, error: str) -> None:
        """See :meth:`Ledger.quarantine`."""
        columns = ARRIVALS.c
        wanted = (columns.uri == uri) & (columns.etag == etag)
        settled = exists().where(VERSION_OBJECTS.c.arrival_id == columns.id, VERSION_OBJECTS.c.build_id == build_id)
        with self._write() as connection:
            changed = connection.execute(
                update(ARRIVALS)
                .where(wanted, columns.build_id == build_id)
                .values(state=State.QUARANTINED, error=error)
            ).rowcount
            if changed or connection.scalar(select(columns.id).where(wanted, columns.build_id.is_(None), settled)):
                return
        raise ClaimLost(
            f"build {build_id} does not hold object {uri} (etag {etag}), so it cannot be put in quarantine; "
            "clear the build from its claim and run it again"
        )

    def quarantined(self, build_id: str | None = None) -> list[Quarantined]:
        """See :meth:`Ledger.quarantined`."""
        columns = ARRIVALS.c
        wanted = columns.state == State.QUARANTINED
        if build_id is not None:
            wanted &= columns.build_id == build_id
        query = select(
            columns.uri, columns.object_key, columns.source, columns.etag, columns.error, columns.version
        ).where(wanted).order_by(columns.object_key, columns.id)  # fmt: skip
        with self._read() as connection:
            return [Quarantined(*row) for row in connection.execute(query)]

    def settle(self, build_id: str, version: str) -> int:
        """See :meth:`Ledger.settle`."""
        held = ARRIVALS.c.build_id == build_id
        members = (VERSION_OBJECTS.c.version == version) & (VERSION_OBJECTS.c.build_id == build_id)
        state = case((ARRIVALS.c.state == State.CLAIMED, State.SETTLED), else_=ARRIVALS.c.state)
        with self._write() as connection:
            # A build that goes on after it has settled settles the rest too: members are only ever added.
            connection.execute(
                insert(VERSION_OBJECTS).from_select(
                    ["version", "build_id", "arrival_id"],
                    select(literal(version), literal(build_id), ARRIVALS.c.id).where(
                        held, ~exists().where(members, VERSION_OBJECTS.c.arrival_id == ARRIVALS.c.id)
                    ),
                )
            )
            connection.execute(
                update(ARRIVALS)
                .where(held)
                .values(
                    state=state,
                    resting_state=state,
                    version=version,
                    error=case((ARRIVALS.c.state == State.QUARANTINED, ARRIVALS.c.error), else_=None),
                    build_id=None,
                    claimed_at=None,
                )
            )
            settled = connection.scalar(select(func.count()).select_from(VERSION_OBJECTS).where(members)) or 0
        if not settled:
            raise ClaimLost(
                f"build {build_id} published version {version}, but holds no object to settle into it: its claim was "
                "released. The objects may be built again; their documents will then be duplicates of this version."
            )
        return settled

    def requeue(self, versions: Collection[str]) -> int:
        """See :meth:`Ledger.requeue`."""
        columns = ARRIVALS.c
        # By the last version of the object, so that one that was built into a later version stays there.
        built = columns.version.in_(list(versions)) & columns.build_id.is_(None) & columns.is_newest
        with self._write() as connection:
            return connection.execute(
                update(ARRIVALS)
                .where(built)
                .values(state=State.RECORDED, resting_state=State.RECORDED, version=None, error=None)
            ).rowcount

    def release(self, build_id: str) -> int:
        """See :meth:`Ledger.release`."""
        columns = ARRIVALS.c
        held = columns.build_id == build_id
        # What was overwritten while the build held it has no bytes left that could be built.
        overwritten = (columns.resting_state == State.RECORDED) & ~columns.is_newest
        state = case((overwritten, State.SUPERSEDED), else_=columns.resting_state)
        with self._write() as connection:
            released = connection.execute(
                update(ARRIVALS)
                .where(held)
                .values(
                    state=state,
                    resting_state=state,
                    error=case((columns.resting_state == State.QUARANTINED, columns.error), else_=None),
                    build_id=None,
                    claimed_at=None,
                )
            ).rowcount
            connection.execute(delete(TURNS).where(TURNS.c.build_id == build_id))
        return released

    def release_stale(self, is_alive: Callable[[str], bool]) -> list[str]:
        """See :meth:`Ledger.release_stale`."""
        with self._read() as connection:
            builds = set(connection.scalars(select(ARRIVALS.c.build_id).where(ARRIVALS.c.build_id.is_not(None))))
            builds.update(connection.scalars(select(TURNS.c.build_id)))
        # Asking may take a network call, so no transaction is open meanwhile.
        stale = sorted(build_id for build_id in builds if not is_alive(build_id))
        for build_id in stale:
            self.release(build_id)
        return stale

    def summary(self) -> list[Count]:
        """See :meth:`Ledger.summary`."""
        columns = ARRIVALS.c
        query = (
            select(columns.source, columns.state, func.count(), _sum(columns.size_bytes))
            .group_by(columns.source, columns.state)
            .order_by(columns.source, columns.state)
        )
        with self._read() as connection:
            return [Count(source, State(state), n, size) for source, state, n, size in connection.execute(query)]

    def take_turn(self, corpus: str, build_id: str) -> bool:
        """See :meth:`Ledger.take_turn`."""
        with self._write() as connection:
            holder = connection.scalar(select(TURNS.c.build_id).where(TURNS.c.corpus == corpus))
            if holder is None:
                connection.execute(insert(TURNS).values(corpus=corpus, build_id=build_id, taken_at=_now()))
            return holder in (None, build_id)

    def end_turn(self, corpus: str, build_id: str) -> None:
        """See :meth:`Ledger.end_turn`."""
        with self._write() as connection:
            connection.execute(delete(TURNS).where(TURNS.c.corpus == corpus, TURNS.c.build_id == build_id))

    def turn_holder(self, corpus: str) -> str | None:
        """See :meth:`Ledger.turn_holder`."""
        with self._read() as connection:
            return connection.scalar(select(TURNS.c.build_id).where(TURNS.c.corpus == corpus))

    def _options(self) -> dict[str, Any]:
        if make_url(self._url).get_backend_name() == "sqlite":
            return {"connect_args": {"timeout": _BUSY_SECONDS}}
        return {}

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._errors_explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._errors_explained(), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, ProgrammingError) as error:
            address = make_url(self._url).render_as_string(hide_password=True)
            raise LedgerError(
                f"ledger {address}: {str(error.orig).strip()}; check ledger.url (GOLDMILL_LEDGER__URL), and that the "
                "database is there and may be written"
            ) from error


def _checked(url: str) -> str:
    """The address, with the driver that is installed where it names none, and with its directory made."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError(f"ledger.url is {url!r}, no database address; give e.g. sqlite:////data/ledger.db") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise LedgerError(f"ledger.url is {url!r}: a ledger in memory would be forgotten; name a file")
        Path(parsed.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    elif backend != "postgresql":
        raise LedgerError(f"ledger.url names {backend!r}; the ledger is kept in sqlite or postgresql")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        parsed.get_dialect()
    except NoSuchModuleError as error:
        raise LedgerError(f"ledger.url: there is no driver {parsed.drivername!r}; use postgresql+psycopg") from error
    return parsed.render_as_string(hide_password=False)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver would begin transactions by itself, and only at the first change: too late to have the lock.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _unknown(connection: Connection, objects: list[LandedObject]) -> list[LandedObject]:
    """Those that are not the newest version of their object in the ledger."""
    newest = select(ARRIVALS.c.uri, ARRIVALS.c.etag).where(
        ARRIVALS.c.uri.in_([_storable(item.uri) for item in objects]), ARRIVALS.c.is_newest
    )
    known = {(uri, etag) for uri, etag in connection.execute(newest)}
    return [item for item in objects if (_storable(item.uri), item.etag) not in known]


def _make_newest(connection: Connection, objects: list[LandedObject], arrived_at: str) -> None:
    """Write the objects down as the newest of their uri; what nobody has built of the older ones is superseded."""
    if not objects:
        return
    columns = ARRIVALS.c
    uris = [_storable(item.uri) for item in objects]
    connection.execute(update(ARRIVALS).where(columns.uri.in_(uris)).values(is_newest=False))
    connection.execute(
        update(ARRIVALS)
        .where(columns.uri.in_(uris), columns.state == State.RECORDED)
        .values(state=State.SUPERSEDED, resting_state=State.SUPERSEDED)
    )
    # The same bytes may come back after others were there: they are the newest again, and built if they never were.
    before = select(columns.uri, columns.etag).where(columns.uri.in_(uris))
    returning = {(uri, etag) for uri, etag in connection.execute(before)}
    again = [item for item in objects if (_storable(item.uri), item.etag) in returning]
    if again:
        superseded = columns.state == State.SUPERSEDED
        connection.execute(
            update(ARRIVALS)
            .where(columns.uri == bindparam("its_uri"), columns.etag == bindparam("its_etag"))
            .values(
                is_newest=True,
                arrived_at=case((superseded, arrived_at), else_=columns.arrived_at),
                resting_state=case((superseded, State.RECORDED), else_=columns.resting_state),
                state=case((superseded, State.RECORDED), else_=columns.state),
            ),
            [{"its_uri": _storable(item.uri), "its_etag": item.etag} for item in again],
        )
    first = [_first_row(item) for item in objects if (_storable(item.uri), item.etag) not in returning]
    if first:
        connection.execute(insert(ARRIVALS), [{**row, "arrived_at": arrived_at, "is_newest": True} for row in first])


def _first_row(item: LandedObject) -> dict[str, Any]:
    """Columns of an object that has just arrived; one whose name is no text can only be put in quarantine."""
    name = _storable(item.uri)
    if name == item.uri:
        return {**asdict(item), "state": State.RECORDED, "resting_state": State.RECORDED, "error": None}
    return {
        **asdict(item),
        **{field: _storable(getattr(item, field)) for field in ("uri", "object_key", "source")},
        "state": State.QUARANTINED,
        "resting_state": State.QUARANTINED,
        "error": f"object {name}: its name is not UTF-8, so no table can hold it; rename it, and it arrives anew",
    }


def _storable(name: str) -> str:
    """``name`` with what is no Unicode in it (undecodable bytes of a file name) written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _hold(connection: Connection, build_id: str, arrival_ids: list[int]) -> None:
    if arrival_ids:
        connection.execute(
            update(ARRIVALS)
            .where(ARRIVALS.c.id == bindparam("arrival_id"))
            .values(state=State.CLAIMED, build_id=build_id, claimed_at=_now()),
            [{"arrival_id": arrival_id} for arrival_id in arrival_ids],
        )


def _objects(connection: Connection, wanted: ColumnElement[bool]) -> list[LandedObject]:
    query = select(*_OBJECT).where(wanted).order_by(*_IN_ORDER)
    return [LandedObject(**row._mapping) for row in connection.execute(query)]


def _sum(column: Column[int]) -> ColumnElement[int]:
    """A sum that is an integer: Postgres would make it a decimal."""
    return cast_to(func.sum(column), BigInteger)


def _chunks(objects: Iterable[LandedObject]) -> Iterator[list[LandedObject]]:
    iterator = iter(objects)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
