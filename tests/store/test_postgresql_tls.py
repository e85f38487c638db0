"""PostgreSQL by the network: encrypted, by a server that is who it says, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.database_address import DatabaseAddress, read_address
from daemon.errors import DatabaseUnreachable, StateError
from daemon.store import Server, Store, encryption
from daemon.store.postgresql import open_server
from tests.support.certificates import Authority, Certificate
from tests.support.postgres import PASSWORD, ROLE, Postgres, running_postgres, why_not


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The administrator's own certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One whose certificate changes from test to test."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with running_postgres() as found:
        yield found


def asked(server: Server, question: str) -> object:
    """The first word of the server's answer."""
    engine = open_server(server)
    with engine.connect() as connection:
        found: object = connection.exec_driver_sql(question).scalar()
    engine.dispose()
    return found


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(
    server: Postgres, authority: Authority, tmp_path: Path
) -> None:
    """Migrations, a restart with another certificate of that authority, and all of it over TLS."""
    server.encrypt(authority.issue("good"))
    place = server.by_tls(server.new_database(), authority.file)
    with closing(Store.open(tmp_path, place)) as store:
        assert store.place.startswith("PostgreSQL at 127.0.0.1")
        server.encrypt(authority.issue("renewed"))
        assert store.schema()
    version = asked(place, "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert version in {"TLSv1.2", "TLSv1.3"}


Bad = tuple[Callable[[Authority], Certificate], str, str]

BAD: dict[str, Bad] = {
    "expired": (lambda a: a.issue("expired", days_left=-1), "has expired", "Renew"),
    "other host": (
        lambda a: a.issue("other", names="DNS:db.example.org"),
        "is for another name",
        "the name that the certificate is for",
    ),
    "unknown authority": (
        lambda a: a.self_signed("stranger"),
        "not issued by an authority that is trusted here",
        "sslrootcert=FILE",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_server_that_is_not_who_it_says_is_refused(
    server: Postgres, authority: Authority, tmp_path: Path, case: str
) -> None:
    """Before the login: it is told what is wrong with it and what to do."""
    certificate, problem, next_step = BAD[case]
    server.encrypt(certificate(authority))
    with pytest.raises(DatabaseUnreachable) as caught:
        Store.open(tmp_path, server.by_tls("postgres", authority.file))
    assert problem in str(caught.value)
    assert "The password was not sent." in str(caught.value)
    assert next_step in caught.value.next_step


def test_without_a_file_the_systems_authorities_count(
    server: Postgres, authority: Authority, tmp_path: Path
) -> None:
    """They know nothing of ours."""
    server.encrypt(authority.issue("unknown"))
    with pytest.raises(DatabaseUnreachable, match="not issued by an authority"):
        Store.open(tmp_path, server.by_tls("postgres", None))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    """Missing, or something else; nobody is connected to."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    address = DatabaseAddress(ROLE, "inboxd", 1, host="127.0.0.1", tls=True, ca_file=file)
    with pytest.raises(StateError, match="holds no certificates") as caught:
        Store.open(tmp_path / "state", Server(address, lambda: PASSWORD))
    assert not isinstance(caught.value, DatabaseUnreachable)
    assert str(file) in str(caught.value)


def test_a_server_without_tls_is_refused_unless_it_is_this_machine(
    postgres: Postgres, tmp_path: Path
) -> None:
    """What an address elsewhere asks for by itself: nothing is sent in the clear."""
    elsewhere = read_address(f"postgresql://{ROLE}@db.example.org/inboxd")
    here = replace(elsewhere, host="127.0.0.1", port=postgres.port)
    with pytest.raises(DatabaseUnreachable, match="offers no TLS") as caught:
        Store.open(tmp_path, Server(here, lambda: PASSWORD))
    assert "The password was not sent." in str(caught.value)
    assert "ssl = on" in caught.value.next_step


@pytest.mark.parametrize("answer", [b"E", b"\xff", b"", b"SNothing of TLS\r\n"])
def test_what_answers_without_being_a_postgresql_is_no_bug_of_ours(
    tmp_path: Path, answer: bytes
) -> None:
    """Another service on the port, which says something and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = DatabaseAddress(
            ROLE, "inboxd", listener.getsockname()[1], host="127.0.0.1", tls=True
        )
        with pytest.raises(DatabaseUnreachable):
            Store.open(tmp_path, Server(address, lambda: PASSWORD))
        thread.join(10)


def test_localhost_that_leads_elsewhere_hears_no_password(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name service that lies; the connection is closed before the login."""
    monkeypatch.setattr(encryption, "peer", lambda _connection: "192.0.2.7")
    here = replace(postgres.by_network("postgres").address, host="localhost")
    with pytest.raises(StateError, match="is not this machine") as caught:
        Store.open(tmp_path, Server(here, lambda: PASSWORD))
    assert "sslmode=verify-full" in caught.value.next_step
