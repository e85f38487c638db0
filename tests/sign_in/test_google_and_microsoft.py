"""Google's and Microsoft's libraries against a provider on this machine that has their paths.

What is tested is how we use the libraries and what we make of their answers; that the real
providers answer so is not.
"""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from daemon.config.secrets import Secret
from daemon.errors import ProviderUnreachable
from daemon.sign_in.google import Endpoints, GoogleProvider
from daemon.sign_in.microsoft import MicrosoftProvider
from daemon.sign_in.provider import Flow, GrantRefused, Provider, Visit, Way
from daemon.sign_in.tokens import read_grant
from tests.sign_in.conftest import Clock
from tests.support.certificates import Certificate
from tests.support.identity_provider import (
    CLIENT_ID,
    DEVICE_GRANT,
    IdentityProvider,
    visit_later,
)


@pytest.fixture
def cloud(certificate: Certificate) -> Iterator[IdentityProvider]:
    """Over TLS: neither library speaks to anybody else."""
    with IdentityProvider("alice", tls=certificate.server_context()) as running:
        yield running


def google(cloud: IdentityProvider, clock: Clock, ca_file: Path) -> GoogleProvider:
    """A desktop app."""
    endpoints = Endpoints(
        f"{cloud.issuer}/authorize", f"{cloud.issuer}/token", f"{cloud.issuer}/revoke"
    )
    return GoogleProvider(
        CLIENT_ID, Secret("s3cret"), clock, "alice", (), ca_file, endpoints=endpoints
    )


def microsoft(cloud: IdentityProvider, clock: Clock, ca_file: Path) -> MicrosoftProvider:
    """A public client."""
    return MicrosoftProvider(CLIENT_ID, "common", clock, (), ca_file, cloud=cloud.issuer)


@pytest.fixture(params=[google, microsoft])
def provider(
    request: pytest.FixtureRequest, cloud: IdentityProvider, clock: Clock, ca_file: Path
) -> Provider:
    """Each of the two."""
    found: Provider = request.param(cloud, clock, ca_file)
    return found


def browse(visited: Visit, context: ssl.SSLContext) -> None:
    """The person opens the page and agrees."""
    visit_later(visited.url, context)


@pytest.fixture
def consent(authority_context: ssl.SSLContext) -> partial[None]:
    """A browser that believes the provider."""
    return partial(browse, context=authority_context)


@pytest.fixture
def authority_context(ca_file: Path) -> ssl.SSLContext:
    """TLS of that browser."""
    return ssl.create_default_context(cafile=str(ca_file))


def test_a_sign_in_in_the_browser_and_what_follows(
    provider: Provider, cloud: IdentityProvider, consent: partial[None]
) -> None:
    """Signed in, renewed, renewed with what came with that."""
    tokens = provider.sign_in(Way(consent, Flow.BROWSER, seconds=30))
    assert cloud.accepts(tokens.access_token.reveal())
    for _ in range(2):
        assert tokens.refresh_token is not None
        before = tokens
        tokens = provider.renew(tokens.refresh_token)
        assert cloud.accepts(tokens.access_token.reveal())
        assert tokens.refresh_token != before.refresh_token
        assert 3500 < (tokens.expires_at - tokens.obtained_at).total_seconds() <= 3600


def test_microsoft_signs_in_with_a_code_by_itself(
    cloud: IdentityProvider, clock: Clock, ca_file: Path, consent: partial[None]
) -> None:
    """The device flow, with the scope for IMAP and a refresh token."""
    told: list[Visit] = []

    def tell(visited: Visit) -> None:
        told.append(visited)
        consent(visited)

    tokens = microsoft(cloud, clock, ca_file).sign_in(Way(tell, seconds=30))
    assert told[0].code == "BDWP-HQPK"
    assert cloud.accepts(tokens.access_token.reveal())
    assert tokens.refresh_token is not None
    [asked] = [form for path, form in cloud.requests if path == "/device"]
    assert "https://outlook.office.com/IMAP.AccessAsUser.All" in asked["scope"]
    assert "offline_access" in asked["scope"]
    assert cloud.grants(DEVICE_GRANT)


def test_google_is_asked_for_mail_and_for_a_refresh_token(
    cloud: IdentityProvider, clock: Clock, ca_file: Path, consent: partial[None]
) -> None:
    """And not by device code, with which it never grants mail."""
    client = google(cloud, clock, ca_file)
    with pytest.raises(GrantRefused, match="only in a browser"):
        client.sign_in(Way(consent, Flow.DEVICE))
    client.sign_in(Way(consent, seconds=30))
    [asked] = [form for path, form in cloud.requests if path == "/authorize"]
    assert asked["scope"] == "https://mail.google.com/"
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert asked["login_hint"] == "alice"
    assert asked["code_challenge_method"] == "S256"
    redirect = urllib.parse.urlsplit(asked["redirect_uri"])
    assert redirect.hostname == "127.0.0.1"


def test_no_and_nobody(provider: Provider, cloud: IdentityProvider, consent: partial[None]) -> None:
    """A person who refuses, and one who does not come."""
    cloud.denies = True
    with pytest.raises(GrantRefused, match="access_denied"):
        provider.sign_in(Way(consent, Flow.BROWSER, seconds=30))
    with pytest.raises(GrantRefused, match="within the time"):
        provider.sign_in(Way(lambda _visit: None, Flow.BROWSER, seconds=0.2))


def test_a_revoked_grant_and_a_provider_that_is_down_differ(
    provider: Provider, cloud: IdentityProvider
) -> None:
    """Only the first needs a person; what the provider writes is not shown."""
    refresh = Secret(cloud.issue()["refresh_token"])
    cloud.down = True
    with pytest.raises(ProviderUnreachable):
        provider.renew(refresh)
    cloud.down = False
    cloud.revoke_all()
    with pytest.raises(GrantRefused, match="invalid_grant") as caught:
        provider.renew(refresh)
    assert "alice" not in str(caught.value)


def test_nobody_at_all_is_unreachable(
    cloud: IdentityProvider, clock: Clock, certificate: Certificate, ca_file: Path
) -> None:
    """The network is gone; and somebody whose certificate nobody vouches for."""
    with IdentityProvider("alice", tls=certificate.server_context()) as gone:
        clients: list[Provider] = [make(gone, clock, ca_file) for make in (google, microsoft)]
    clients += [make(cloud, clock, None) for make in (google, microsoft)]  # type: ignore[arg-type]
    for client in clients:
        with pytest.raises(ProviderUnreachable):
            client.renew(Secret("x"))


def test_google_ends_a_sign_in_and_microsoft_says_who_can(
    cloud: IdentityProvider, clock: Clock, ca_file: Path
) -> None:
    """Microsoft has no endpoint for it."""
    granted = cloud.issue()
    tokens = read_grant(granted, clock())
    said = microsoft(cloud, clock, ca_file).revoke(tokens)
    assert said is not None
    assert "https://account.live.com/consent/Manage" in said
    assert cloud.accepts(granted["access_token"])
    assert google(cloud, clock, ca_file).revoke(tokens) is None
    assert not cloud.accepts(granted["access_token"])


def test_an_unknown_tenant_is_named(cloud: IdentityProvider, clock: Clock, ca_file: Path) -> None:
    """A slip in the configuration."""
    client = MicrosoftProvider(CLIENT_ID, "nowhere", clock, (), ca_file, cloud=cloud.issuer)
    with pytest.raises(ProviderUnreachable):
        client.renew(Secret("x"))
