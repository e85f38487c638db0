"""Any provider, through Authlib: both flows, renewal, and providers that behave badly."""

from __future__ import annotations

import threading
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.config.secrets import Secret
from daemon.errors import ProviderUnreachable, StateError
from daemon.sign_in.loopback import Loopback
from daemon.sign_in.oidc import OidcProvider
from daemon.sign_in.provider import Flow, GrantRefused, Visit, Way
from tests.sign_in.conftest import Clock, oidc
from tests.support.certificates import Certificate
from tests.support.identity_provider import (
    CLIENT_ID,
    DEVICE_GRANT,
    IdentityProvider,
    visit,
    visit_later,
)


def way(tell: Callable[[Visit], Any], flow: Flow = Flow.AUTO, seconds: float = 30.0) -> Way:
    """A way that does not wait between two questions."""
    return Way(tell, flow, seconds=seconds, wait=lambda _seconds: None)


def consent(visited: Visit) -> None:
    """The person opens the page and agrees."""
    visit_later(visited.url)


def test_a_code_on_any_device(provider: IdentityProvider, clock: Clock) -> None:
    """RFC 8628: the person is told page and code, and may take her time."""
    told: list[Visit] = []
    provider.pending = 2

    def tell(visited: Visit) -> None:
        told.append(visited)
        visit(visited.url)

    tokens = oidc(provider, clock).sign_in(way(tell))
    assert told[0].code == "BDWP-HQPK"
    assert provider.accepts(tokens.access_token.reveal())
    assert tokens.refresh_token is not None
    assert len(provider.grants(DEVICE_GRANT)) == 3


def test_a_browser_that_comes_back_to_this_machine(clock: Clock) -> None:
    """Where the provider has no device flow: authorization code with PKCE (the stub checks)."""
    with IdentityProvider("alice", offers_device_flow=False) as provider:
        tokens = oidc(provider, clock).sign_in(way(consent))
        assert provider.accepts(tokens.access_token.reveal())
        [asked] = [form for path, form in provider.requests if path == "/authorize"]
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
        assert asked["scope"] == "openid email offline_access"
        with pytest.raises(GrantRefused, match="device code"):
            oidc(provider, clock).sign_in(way(consent, Flow.DEVICE))


@pytest.mark.parametrize("flow", [Flow.DEVICE, Flow.BROWSER])
def test_a_person_who_says_no(provider: IdentityProvider, clock: Clock, flow: Flow) -> None:
    """access_denied in both flows."""
    provider.denies = True
    with pytest.raises(GrantRefused, match="access_denied"):
        oidc(provider, clock).sign_in(way(consent, flow))


@pytest.mark.parametrize("flow", [Flow.DEVICE, Flow.BROWSER])
def test_a_person_who_does_not_come(provider: IdentityProvider, clock: Clock, flow: Flow) -> None:
    """Nobody waits for ever."""
    with pytest.raises(GrantRefused, match="within the time"):
        oidc(provider, clock).sign_in(way(lambda _visit: None, flow, seconds=0.3))


def test_a_provider_that_goes_down_while_the_person_decides(
    provider: IdentityProvider, clock: Clock
) -> None:
    """RFC 8628, 3.5: ask again, ever less often, until the codes end."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            provider.down = False

    def tell(visited: Visit) -> None:
        visit(visited.url)
        provider.down = True

    oidc(provider, clock).sign_in(Way(tell, wait=wait))
    assert waited == [1.0, 2.0, 4.0]


def test_a_forged_answer_to_the_browser_flow_is_refused(
    provider: IdentityProvider, clock: Clock
) -> None:
    """Somebody else sends the browser to our port, with a code of his own (RFC 6749, 10.12)."""

    def tell(visited: Visit) -> None:
        visit_later(f"http://127.0.0.1:{visited.port}/?code=his&state=his")

    with pytest.raises(GrantRefused, match="mismatching_state"):
        oidc(provider, clock).sign_in(way(tell, Flow.BROWSER))
    assert provider.grants("authorization_code") == []


def _stray_then_right(port: int) -> None:
    with pytest.raises(urllib.error.HTTPError):
        visit(f"http://127.0.0.1:{port}/favicon.ico")
    visit(f"http://127.0.0.1:{port}/?state=s&code=c")


def test_stray_requests_to_the_port_are_passed_over() -> None:
    """Browsers ask for a favicon."""
    with Loopback(0) as loopback:
        browser = threading.Thread(target=_stray_then_right, args=(loopback.port,))
        browser.start()
        assert loopback.answer(10) == "state=s&code=c"
        browser.join()
        with pytest.raises(StateError, match="cannot be used"):
            Loopback(loopback.port)


@pytest.mark.parametrize("secret", ["s3cret", None])
def test_a_client_secret_is_shown_as_the_provider_wants_it(
    clock: Clock, secret: str | None
) -> None:
    """With a wrong one the sign-in cannot go on; the secret is not in the error."""
    with IdentityProvider("alice", client_secret="s3cret") as provider:
        given = Secret(secret) if secret else None
        client = OidcProvider(provider.issuer, CLIENT_ID, given, clock)
        refresh = Secret(provider.issue()["refresh_token"])
        if secret:
            assert provider.accepts(client.renew(refresh).access_token.reveal())
        else:
            with pytest.raises(GrantRefused, match="invalid_client"):
                client.renew(refresh)


def test_a_provider_that_speaks_for_another_is_not_believed(
    provider: IdentityProvider, clock: Clock
) -> None:
    """OpenID Connect Discovery, 4.3."""
    client = OidcProvider(provider.issuer + "/realms/other", CLIENT_ID, None, clock)
    with pytest.raises(ProviderUnreachable, match="another issuer"):
        client.renew(Secret("x"))


def test_an_unencrypted_endpoint_is_sent_nothing(provider: IdentityProvider, clock: Clock) -> None:
    """Even when the provider itself publishes it."""
    client = oidc(provider, clock)
    client._found.update(issuer=provider.issuer, token_endpoint="http://login.example.org/token")
    with pytest.raises(ProviderUnreachable, match="no encrypted token_endpoint"):
        client.renew(Secret("x"))


@pytest.mark.parametrize("trust", [True, False])
def test_a_provider_over_tls_is_verified(
    certificate: Certificate, ca_file: Path, clock: Clock, trust: bool
) -> None:
    """With the authority of the configuration, and not without."""
    with IdentityProvider("alice", tls=certificate.server_context()) as provider:
        file = ca_file if trust else None
        client = OidcProvider(provider.issuer, CLIENT_ID, None, clock, ca_file=file)
        refresh = Secret(provider.issue()["refresh_token"])
        if trust:
            assert provider.accepts(client.renew(refresh).access_token.reveal())
        else:
            with pytest.raises(ProviderUnreachable):
                client.renew(refresh)


def test_a_provider_that_is_not_there_is_unreachable(clock: Clock) -> None:
    """Nobody listens, or somebody who speaks no OAuth."""
    with IdentityProvider("alice") as provider:
        client = oidc(provider, clock)
    with pytest.raises(ProviderUnreachable):
        client.renew(Secret("x"))


def test_visiting_follows_where_a_page_leads(provider: IdentityProvider) -> None:
    """The stub's own browser: otherwise the tests above would prove nothing."""
    with Loopback(0) as loopback:
        target = f"http://127.0.0.1:{loopback.port}/"
        thread = visit_later(f"{provider.issuer}/authorize?redirect_uri={target}&state=s")
        assert "state=s" in loopback.answer(10)
        thread.join()
    with pytest.raises(urllib.error.HTTPError):
        visit(provider.issuer + "/nowhere")
