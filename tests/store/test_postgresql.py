"""What only a server can do: die, be restarted, refuse, belong to somebody else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from daemon.database_address import DatabaseAddress
from daemon.errors import DatabaseUnreachable, StateError
from daemon.store import DATABASE_NAME, PAIRING_NAME, Server, Store, load, postgresql
from daemon.store.migrate import schema_of
from daemon.store.postgresql import open_server
from daemon.store.tables import ArrivedBy, Folder, Message, Placement, Role
from daemon.store.trouble import errors_of_the_store
from tests.support.postgres import PASSWORD, ROLE, Postgres, running_postgres, why_not
from tests.support.stores import Stores

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINGERPRINT = f"{'0' * 64}+text-1+features-1"
"""As long as they are."""

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stores(postgres: Postgres) -> Iterator[Stores]:
    """PostgreSQL alone."""
    found = Stores(postgres)
    yield found
    found.close()


def server_of(stores: Stores, directory: Path) -> Server:
    """The database of a directory."""
    found = stores.server(directory)
    assert found is not None
    return found


def remember(store: Store, name: str) -> None:
    """One committed account."""
    with store.write() as work:
        work.accounts.get_or_create(name, NOW)
        work.commit()


def names(store: Store) -> list[str]:
    """All accounts in their order."""
    with store.read() as work:
        return [account.name for account in work.accounts.every()]


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process, which runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )


CONNECT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from daemon.database_address import read_address
from daemon.store import Server, Store
directory, url = Path(sys.argv[1]), sys.argv[2]
server = Server(read_address(url), lambda: None)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""


def url_of(postgres: Postgres, server: Server) -> str:
    """For another process."""
    return postgres.socket_url(server.address.database)


# Processes -------------------------------------------------------------------------------------


def test_a_killed_writer_leaves_nothing_and_locks_nobody_out(
    postgres: Postgres, stores: Stores, store: Store, tmp_path: Path
) -> None:
    """kill -9 in the middle of a transaction."""
    code = (
        CONNECT
        + """
store = Store.open(directory, server)
with store.write() as work:
    work.accounts.get_or_create("unfinished", NOW)
    print("in it", flush=True)
    signal.pause()
"""
    )
    server = server_of(stores, tmp_path / "state")
    process = child(code, str(tmp_path / "state"), url_of(postgres, server))
    assert process.stdout is not None
    assert process.stdout.readline() == "in it\n"
    process.kill()
    process.wait()

    remember(store, "private")
    assert names(store) == ["private"]


def test_a_killed_migration_is_begun_anew(
    postgres: Postgres, stores: Stores, tmp_path: Path
) -> None:
    """All of its steps are one transaction; the next process makes them all."""
    server = stores.server(tmp_path, migrated=False)
    assert server is not None
    code = (
        CONNECT
        + """
from alembic import command
whole = command.upgrade
def dying(*arguments):
    whole(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
command.upgrade = dying
Store.open(directory, server)
"""
    )
    process = child(code, str(tmp_path), url_of(postgres, server))
    assert process.wait() == -signal.SIGKILL

    engine = open_server(server)
    assert schema_of(engine) is None
    engine.dispose()
    store = Store.open(tmp_path, server)
    remember(store, "private")
    store.close()


def test_writers_of_two_processes_queue_up(
    postgres: Postgres, stores: Stores, store: Store, tmp_path: Path
) -> None:
    """Each reads, adds one and writes; no addition is lost."""
    remember(store, "private")
    code = (
        CONNECT
        + """
store = Store.open(directory, server)
for _ in range(25):
    with store.write() as work:
        account = work.accounts.get("private")
        account.notice = str(int(account.notice or 0) + 1)
        work.commit()
"""
    )
    url = url_of(postgres, server_of(stores, tmp_path / "state"))
    processes = [child(code, str(tmp_path / "state"), url) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    with store.read() as work:
        account = work.accounts.get("private")
        assert account is not None
        assert account.notice == "50"


def test_a_writer_waits_no_longer_than_it_may(
    stores: Stores, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the error says that another one writes, and nothing is broken."""
    quick = tuple(each.replace("30s", "100ms") for each in postgresql.SETTINGS)
    monkeypatch.setattr(postgresql, "SETTINGS", quick)
    impatient = stores.open(tmp_path / "state")
    with store.write() as work:
        work.accounts.get_or_create("private", NOW)
        with pytest.raises(StateError, match="55P03"):
            remember(impatient, "second")
        work.commit()
    remember(impatient, "third")
    assert names(store) == ["private", "third"]
    impatient.close()


# The server ------------------------------------------------------------------------------------


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A server that a test may stop."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with running_postgres() as server:
        yield server


def test_a_server_that_dies_takes_only_what_was_not_committed(
    mortal: Postgres, tmp_path: Path
) -> None:
    """The same store goes on when the server is back; meanwhile each try is told so."""
    store = Store.open(tmp_path, mortal.through_socket(mortal.new_database()))
    remember(store, "committed")

    def interrupted() -> None:
        with store.write() as work:
            work.accounts.get_or_create("unfinished", NOW)
            mortal.stop("immediate")
            work.commit()

    with pytest.raises(DatabaseUnreachable):
        interrupted()
    for attempt in (lambda: names(store), lambda: remember(store, "second"), store.schema):
        with pytest.raises(DatabaseUnreachable) as caught:
            attempt()
        assert "tries again by itself" in caught.value.next_step
    mortal.start()

    assert names(store) == ["committed"]
    with store.read() as work:
        assert work.accounts.get("committed") is not None
        mortal.stop("fast")
        # Translated where the block ends; here, as a caller within it sees it.
        with pytest.raises(DatabaseUnreachable), errors_of_the_store():
            work.accounts.every()
    mortal.start()
    remember(store, "third")
    assert names(store) == ["committed", "third"]
    store.close()


def test_a_connection_that_the_administrator_ends_is_replaced(
    postgres: Postgres, stores: Stores, store: Store, tmp_path: Path
) -> None:
    """Between two uses nobody notices."""
    remember(store, "private")
    database = server_of(stores, tmp_path / "state").address.database
    # Waits for up to 30 s until each of them is gone.
    ended = postgres.execute(
        "SELECT pg_terminate_backend(pid, 30000) "  # noqa: S608 - our own name
        f"FROM pg_stat_activity WHERE datname = '{database}'"
    )
    assert ended == [[True]]
    assert names(store) == ["private"]


def test_nobody_there_is_told_as_such(tmp_path: Path) -> None:
    """No socket, no port: nothing is made in the state directory but the directory."""
    nowhere = DatabaseAddress(ROLE, "inboxd", 1, socket=tmp_path)
    for address in (nowhere, DatabaseAddress(ROLE, "inboxd", 1, host="127.0.0.1")):
        with pytest.raises(DatabaseUnreachable, match="cannot be reached"):
            Store.open(tmp_path / "state", Server(address, lambda: "geheim"))
    assert list((tmp_path / "state").iterdir()) == []


def test_a_database_that_does_not_exist_is_told_with_the_command(
    postgres: Postgres, tmp_path: Path
) -> None:
    """The server says so before it closes the connection."""
    with pytest.raises(StateError, match="does not exist") as caught:
        Store.open(tmp_path, postgres.through_socket("nix"))
    assert "createdb" in caught.value.next_step


def test_a_user_who_may_make_no_tables_is_told(postgres: Postgres, tmp_path: Path) -> None:
    """The database belongs to somebody else."""
    name = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    with pytest.raises(StateError, match="42501") as caught:
        Store.open(tmp_path, postgres.through_socket(name))
    assert "belong" in caught.value.next_step


def test_a_server_that_wants_a_password_gets_it_and_nobody_else(
    postgres: Postgres, tmp_path: Path
) -> None:
    """By the network; a missing or wrong one is an error that does not quote it."""
    name = postgres.new_database()
    for password in (None, "wrong-password"):
        with pytest.raises(StateError, match="password authentication failed") as caught:
            Store.open(tmp_path, postgres.by_network(name, password))
        assert "wrong-password" not in str(caught.value) + caught.value.next_step
        assert "database_password_file" in caught.value.next_step
    store = Store.open(tmp_path, postgres.by_network(name))
    assert PASSWORD not in store.place + repr(store._engine) + repr(postgres.by_network(name))
    assert store.place == (f"PostgreSQL at 127.0.0.1:{postgres.port}, database {name}, user {ROLE}")
    store.close()


def test_without_the_driver_the_extra_is_named(tmp_path: Path) -> None:
    """In a process that cannot import it."""
    code = """
import sys
sys.modules["pg8000"] = None
from pathlib import Path
from daemon.database_address import read_address
from daemon.errors import ExtraMissing
from daemon.store import Server, Store
try:
    server = Server(read_address("postgresql://a@/b"), lambda: None)
    Store.open(Path(sys.argv[1]), server)
except ExtraMissing as error:
    print(error.next_step)
"""
    told, _ = child(code, str(tmp_path)).communicate()
    assert "inboxd[postgres]" in told


# What it holds ---------------------------------------------------------------------------------


def fill(store: Store) -> None:
    """An account with a folder and a mail, at the upper ends of what IMAP's numbers may be."""
    with store.write() as work:
        account = work.accounts.get_or_create("private", NOW)
        folder = Folder(
            account_id=account.id,
            name="Ä/Rechnungen",
            role=Role.LABEL,
            uid_validity=2**32 - 1,
            highest_modseq=2**63 - 1,
        )
        work.folders.add(folder)
        message = Message(
            account_id=account.id,
            server_id=None,
            fingerprint="f" * 64,
            message_id_hash="h" * 32,
            internal_date=datetime(1, 1, 1, tzinfo=UTC),
            size=2**33,
            first_seen_at=NOW,
            kept=True,
        )
        message.reference_hashes.extend(["b", "a"])
        work.messages.add(message)
        work.flush()
        work.placements.add(
            Placement(
                message_id=message.id,
                folder_id=folder.id,
                uid_validity=2**32 - 1,
                uid=2**32 - 1,
                arrived_at=NOW,
                arrived_by=ArrivedBy.DELIVERY,
            )
        )
        work.features.put(FINGERPRINT, {message.id: b"\0\xff"})
        work.features.put(FINGERPRINT, {message.id: b"\0\xfe"})
        work.commit()


def check(store: Store) -> None:
    """All of it is there."""
    with store.read() as work:
        [account] = work.accounts.every()
        [folder] = work.folders.of(account)
        assert (folder.name, folder.highest_modseq) == ("Ä/Rechnungen", 2**63 - 1)
        [placement] = work.placements.present_in(folder)
        assert (placement.uid, placement.uid_validity) == (2**32 - 1, 2**32 - 1)
        message = placement.message
        assert (message.size, message.kept) == (2**33, True)
        assert message.internal_date == datetime(1, 1, 1, tzinfo=UTC)
        assert work.messages.references_of(message) == ["b", "a"]
        assert work.features.get(FINGERPRINT, [message.id]) == {message.id: b"\0\xfe"}


def test_the_largest_numbers_of_imap_fit(store: Store) -> None:
    """PostgreSQL's INTEGER ends at 2^31, UIDs do not."""
    fill(store)
    check(store)


def test_every_whole_number_has_64_bits_and_every_text_is_ordered_by_bytes(
    stores: Stores, store: Store, tmp_path: Path
) -> None:
    """Also in the columns that a later migration adds."""
    columns = stores.execute(
        tmp_path / "state",
        "SELECT table_name, column_name, data_type, collation_name "
        "FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name <> 'alembic_version'",
    )
    assert [each for each in columns if each[2] in {"integer", "smallint"}] == []
    assert [each for each in columns if each[2].startswith("char") and each[3] != "C"] == []
    sequences = stores.execute(tmp_path / "state", "SELECT data_type::text FROM pg_sequences")
    assert {kind for (kind,) in sequences} == {"bigint"}


def test_the_servers_language_does_not_order_folders(postgres: Postgres, tmp_path: Path) -> None:
    """As SQLite does it; a German server would put the small letters first."""
    database = postgres.new_database(locale="de-DE")
    assert postgres.execute("SELECT 'Z' > 'a'", database) == [[True]]
    store = Store.open(tmp_path, postgres.through_socket(database))
    for name in ("a", "Z", "B", "ä"):
        remember(store, name)
    assert names(store) == ["B", "Z", "a", "ä"]
    store.close()


def test_text_that_no_column_can_hold_is_kept_without_its_nul(store: Store) -> None:
    """A server's answer may hold one, and becomes the last error of an account."""
    remember(store, "private")
    with store.write() as work:
        account = work.accounts.get("private")
        assert account is not None
        account.last_error = "a\0b"
        work.commit()
    with store.read() as work:
        account = work.accounts.get("private")
        assert account is not None
        assert account.last_error == "a\N{REPLACEMENT CHARACTER}b"


# Whose it is -----------------------------------------------------------------------------------


def test_a_second_state_directory_is_refused(stores: Stores, store: Store, tmp_path: Path) -> None:
    """Its models would name other folders; nothing is changed, and the token can be moved over."""
    remember(store, "private")
    server = server_of(stores, tmp_path / "state")
    with pytest.raises(StateError, match="another state directory") as caught:
        Store.open(tmp_path / "other", server)
    assert '{"token"' in caught.value.next_step
    assert names(store) == ["private"]

    token = (tmp_path / "state" / PAIRING_NAME).read_text()
    (tmp_path / "other" / PAIRING_NAME).write_text(token)
    other = Store.open(tmp_path / "other", server)
    assert names(other) == ["private"]
    other.close()


@pytest.mark.parametrize("name", [DATABASE_NAME, "models/private/current.json"])
def test_a_new_database_is_refused_where_there_is_a_state(
    stores: Stores, tmp_path: Path, name: str
) -> None:
    """The models there were learnt with the row numbers of another database."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(StateError, match="holds a state already") as caught:
        stores.open(tmp_path)
    assert "inboxd restore FILE --replace" in caught.value.next_step
    (tmp_path / name).unlink()
    stores.open(tmp_path).close()


def test_without_its_server_a_state_directory_is_refused(stores: Stores, tmp_path: Path) -> None:
    """No SQLite database is begun beside models that belong to another."""
    stores.open(tmp_path).close()
    with pytest.raises(StateError, match="database on a server"):
        Store.open(tmp_path)
    assert not (tmp_path / DATABASE_NAME).exists()


def test_many_processes_may_take_a_new_database_at_once(stores: Stores, tmp_path: Path) -> None:
    """They agree on one token."""
    server = server_of(stores, tmp_path)
    opened: list[Store] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Store.open(tmp_path, server)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for store in opened:
        store.close()


# To and fro ------------------------------------------------------------------------------------


def test_a_copy_is_a_file_of_sqlite_and_comes_back(stores: Stores, tmp_path: Path) -> None:
    """With the same row numbers; new rows get numbers beyond them."""
    store = stores.open(tmp_path / "state")
    fill(store)
    (tmp_path / "copy").mkdir()
    store.copy_to(tmp_path / "copy" / DATABASE_NAME)
    assert [path.name for path in (tmp_path / "copy").iterdir()] == [DATABASE_NAME]
    with Store.open(tmp_path / "copy").read() as work:
        [copied] = work.accounts.every()
    check(Store.open(tmp_path / "copy"))

    (tmp_path / "target").mkdir()
    target = server_of(stores, tmp_path / "target")
    for _ in range(2):  # as after an interruption
        load(target, tmp_path / "copy" / DATABASE_NAME, tmp_path / "target")
    loaded = Store.open(tmp_path / "target", target)
    check(loaded)
    with loaded.write() as work:
        assert work.accounts.get_or_create("private", NOW).id == copied.id
        assert work.accounts.get_or_create("second", NOW).id > copied.id
        work.commit()
    loaded.close()
    store.close()


def test_a_failed_load_leaves_what_was_there(stores: Stores, tmp_path: Path) -> None:
    """The file holds a row that PostgreSQL cannot take; all or nothing."""
    store = stores.open(tmp_path / "state")
    remember(store, "private")
    (tmp_path / "copy").mkdir()
    Store.open(tmp_path / "copy").close()
    with closing(sqlite3.connect(tmp_path / "copy" / DATABASE_NAME)) as raw, raw:
        raw.execute("INSERT INTO accounts (id, name, created_at) VALUES (1, 'a', '2025-01-01')")
        raw.execute(
            "INSERT INTO folders (id, account_id, name, role, watch_from_uid) "
            "VALUES (1, 7, 'Reisen', 'label', 1)"
        )
    with pytest.raises(DBAPIError, match="23503"):
        load(
            server_of(stores, tmp_path / "state"),
            tmp_path / "copy" / DATABASE_NAME,
            tmp_path / "state",
        )
    assert names(store) == ["private"]
    store.close()


def test_compacting_leaves_the_rows(store: Store) -> None:
    """The tables are written anew."""
    fill(store)
    remember(store, "second")
    with store.write() as work:
        second = work.accounts.get("second")
        assert second is not None
        work.accounts.delete(second)
        work.commit()
    before = store.size()
    assert store.compact() is True
    assert 0 < store.size() <= before
    check(store)
