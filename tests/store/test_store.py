"""Opening, migrating, locking: what the database promises."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError, StatementError

from daemon.errors import DatabaseBroken, DatabaseTooNew, StateError
from daemon.store import DATABASE_NAME, Store
from daemon.store.engine import open_engine
from daemon.store.migrate import upgrade
from daemon.store.tables import Account, Base, UtcDateTime
from tests.support.stores import Stores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def upgrade_to(stores: Stores, directory: Path, revision: str) -> None:
    """An empty database of an old schema."""
    engine = stores.engine(directory)
    upgrade(engine, to=revision)
    engine.dispose()


def test_the_migrated_schema_is_the_one_of_the_tables(stores: Stores, tmp_path: Path) -> None:
    """Alembic finds no difference between migrations and declared tables."""
    stores.open(tmp_path).close()
    engine = stores.engine(tmp_path)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_opening_again_keeps_everything(stores: Stores, tmp_path: Path) -> None:
    """A database of this version is opened as it is."""
    first = stores.open(tmp_path)
    with first.write() as work:
        work.accounts.get_or_create("private", NOW)
        work.commit()
    first.close()
    second = stores.open(tmp_path)
    with second.read() as work:
        assert work.accounts.get("private") is not None
    second.close()


def test_an_old_database_is_brought_up_to_date_with_its_rows(
    stores: Stores, tmp_path: Path
) -> None:
    """Written under the first schema, with data in it."""
    upgrade_to(stores, tmp_path, "0001")
    stores.execute(
        tmp_path,
        "INSERT INTO accounts (id, name, created_at) "
        "VALUES (1, 'alt', '2025-01-01 00:00:00.000000')",
    )
    store = stores.open(tmp_path)
    with store.read() as work:
        account = work.accounts.get("alt")
        assert account is not None
        assert account.created_at == datetime(2025, 1, 1, tzinfo=UTC)
    store.close()


def test_a_database_of_the_version_before_gets_promises_and_contacts(
    stores: Stores, tmp_path: Path
) -> None:
    """Its folders and corrections stay, no folder has broken its promise, nobody is a contact."""
    upgrade_to(stores, tmp_path, "0003")
    stores.execute(
        tmp_path,
        "INSERT INTO accounts (id, name, created_at) "
        "VALUES (1, 'alt', '2025-01-01 00:00:00.000000')",
    )
    stores.execute(
        tmp_path,
        "INSERT INTO folders (id, account_id, name, role, watch_from_uid) "
        "VALUES (7, 1, 'Reisen', 'label', 1)",
    )
    store = stores.open(tmp_path)
    with store.write() as work:
        account = work.accounts.get("alt")
        assert account is not None
        assert [folder.name for folder in work.folders.of(account)] == ["Reisen"]
        assert work.promises.of(account) == []
        assert work.contacts.book(account) is None
        row = work.promises.get_or_create(work.folders.get(7))
        row.broken_at = NOW
        work.contacts.add(account, ["a" * 32, "a" * 32])
        work.commit()
    store.close()
    again = stores.open(tmp_path)
    with again.read() as work:
        account = work.accounts.get("alt")
        assert account is not None
        assert [row.folder.name for row in work.promises.broken(account)] == ["Reisen"]
        assert work.contacts.hashes(account) == {"a" * 32}
    again.close()


def test_a_newer_database_is_refused(stores: Stores, tmp_path: Path) -> None:
    """A program must not guess what a later one has written."""
    stores.open(tmp_path).close()
    stores.execute(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseTooNew, match="9999") as caught:
        stores.open(tmp_path)
    assert "newer inboxd" in caught.value.next_step


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is not overwritten either."""
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"not a database, " * 1000)
    with pytest.raises(DatabaseBroken):
        Store.open(tmp_path)
    assert path.read_bytes() == b"not a database, " * 1000


def test_a_damaged_page_is_reported_as_damage(tmp_path: Path) -> None:
    """Not as a bug of the program."""
    store = Store.open(tmp_path)
    with store.write() as work:
        for number in range(2000):
            work.accounts.get_or_create(f"account-{number}", NOW)
        work.commit()
    store.close()
    path = tmp_path / DATABASE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))

    def read_all() -> None:
        with Store.open(tmp_path).read() as work:
            for number in range(2000):
                work.accounts.get(f"account-{number}")

    with pytest.raises((DatabaseBroken, StateError)):
        read_all()


@pytest.mark.parametrize("place", ["/proc/self", "/dev/null/inboxd"])
def test_a_directory_that_may_not_be_written_is_refused(place: str) -> None:
    """Even root may not write there; the message names the directory."""
    with pytest.raises(StateError, match=place):
        Store.open(Path(place))


def test_only_the_owner_may_read_the_database(tmp_path: Path) -> None:
    """Directory 0700, file 0600."""
    directory = tmp_path / "state"
    Store.open(directory).close()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / DATABASE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 30_000),
        ("secure_delete", 1),
    ],
)
def test_every_connection_has_the_documented_pragmas(
    tmp_path: Path, pragma: str, value: object
) -> None:
    """Most of them hold for one connection only, so each must get them."""
    Store.open(tmp_path).close()
    engine = open_engine(tmp_path / DATABASE_NAME)
    with engine.connect() as one, engine.connect() as other:
        assert one.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
        one.rollback()
        assert other.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_naive_datetimes_are_refused(store: Store) -> None:
    """A time without a zone is a bug in the caller."""
    with store.write() as work:
        account = Account(name="private", created_at=datetime(2026, 3, 1))  # noqa: DTZ001
        work._session.add(account)
        with pytest.raises(StatementError, match="naive datetime"):
            work.flush()


def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    """Whatever zone they went in with."""
    there = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    with store.write() as work:
        work.accounts.get_or_create("private", there)
        work.commit()
    with store.read() as work:
        account = work.accounts.get("private")
        assert account is not None
        assert account.created_at == NOW
        assert account.created_at.utcoffset() == timedelta(0)
    assert UtcDateTime.cache_ok


def test_without_commit_nothing_stays(store: Store) -> None:
    """Leaving the block rolls back, with and without an error."""
    with store.write() as work:
        work.accounts.get_or_create("private", NOW)

    def fail() -> None:
        with store.write() as work:
            work.accounts.get_or_create("private", NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as work:
        assert work.accounts.get("private") is None


def test_rows_can_be_used_after_their_unit_of_work(store: Store) -> None:
    """Values that were read stay values."""
    with store.write() as work:
        account = work.accounts.get_or_create("private", NOW)
        work.commit()
    assert (account.name, account.created_at, account.paused_at) == ("private", NOW, None)


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    """`status` answers while the daemon is in the middle of a transaction."""
    with store.write() as writing:
        writing.accounts.get_or_create("private", NOW)
        with store.read() as reading:
            assert reading.accounts.get("private") is None
        writing.commit()


def test_opening_does_not_wait_for_a_writer(stores: Stores, store: Store, tmp_path: Path) -> None:
    """An up-to-date database needs no write lock to be opened."""
    with store.write() as writing:
        writing.accounts.get_or_create("private", NOW)
        opened: list[Store] = []
        thread = threading.Thread(
            target=lambda: opened.append(stores.open(tmp_path / "state")), daemon=True
        )
        thread.start()
        thread.join(10)
        assert len(opened) == 1
        writing.commit()
    opened[0].close()


def test_a_reader_sees_one_snapshot(store: Store) -> None:
    """What others commit meanwhile does not appear in the middle."""
    with store.read() as reading:
        assert reading.accounts.get("private") is None
        with store.write() as writing:
            writing.accounts.get_or_create("private", NOW)
            writing.commit()
        assert reading.accounts.get("private") is None


def test_writers_queue_up(store: Store) -> None:
    """Two threads add to the same account; neither fails, nothing is lost."""
    with store.write() as work:
        work.accounts.get_or_create("private", NOW)
        work.commit()
    errors: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(20):
                with store.write() as work:
                    account = work.accounts.get("private")
                    assert account is not None
                    account.notice = str(int(account.notice or 0) + 1)
                    work.commit()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with store.read() as work:
        account = work.accounts.get("private")
        assert account is not None
        assert account.notice == "60"


def test_two_processes_may_create_the_database_at_once(stores: Stores, tmp_path: Path) -> None:
    """Both come up, with one schema."""
    server = stores.server(tmp_path, migrated=False)
    errors: list[BaseException] = []
    opened: list[Store] = []
    barrier = threading.Barrier(3)

    def open_it() -> None:
        barrier.wait()
        try:
            opened.append(Store.open(tmp_path, server))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(opened) == 3
    for found in opened:
        found.close()


def test_a_copy_is_whole_while_others_write(store: Store, tmp_path: Path) -> None:
    """The backup holds what was committed, and nothing of what was not."""
    with store.write() as work:
        work.accounts.get_or_create("private", NOW)
        work.commit()
    target = tmp_path / "copy"
    target.mkdir()
    with store.write() as work:
        work.accounts.get_or_create("unfinished", NOW)
        store.copy_to(target / DATABASE_NAME)
    copy = Store.open(target)
    with copy.read() as work:
        assert work.accounts.get("private") is not None
        assert work.accounts.get("unfinished") is None
    copy.close()


def test_a_clash_of_rows_is_not_called_damage(store: Store) -> None:
    """A bug of the program must not send anybody to restore a backup."""

    def clash() -> None:
        with store.write() as work:
            work._session.add(Account(name="b", created_at=NOW))
            work._session.add(Account(name="b", created_at=NOW))
            work.commit()

    # On PostgreSQL the driver has one class for whatever the server says.
    with pytest.raises(DBAPIError, match=r"UNIQUE constraint failed|23505"):
        clash()
