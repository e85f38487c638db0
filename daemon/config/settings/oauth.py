"""How an account signs in with OAuth 2: [accounts.NAME.oauth]."""

from __future__ import annotations

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import FilePath, Text, Url


class OAuthSettings(Section):
    """How an account signs in with OAuth 2, for sign_in = "google", "microsoft" or "oidc"; the
    command `inboxd login NAME` then asks you once in the browser.

    docs/accounts.md says for each provider where the client id comes from.
    """

    client_id: Text | None = Field(None, examples=["inboxd"])
    """The id under which the provider knows inboxd. You register it there."""

    client_secret_file: FilePath | None = Field(None, examples=["/etc/inboxd/client-secret"])
    """File that holds the client secret and nothing else, where the provider gave you one
    (Google does). inboxd looks for the systemd credential inboxd.NAME.client_secret first, then
    here, then in the keyring (service "inboxd", user "NAME:client_secret")."""

    issuer: Url | None = Field(None, examples=["https://login.example.org/realms/mail"])
    """For "oidc": the address of the provider, under which it publishes
    /.well-known/openid-configuration."""

    tenant: Text = "common"
    """For "microsoft": which accounts may sign in, "common", "consumers", "organizations" or the
    id of your organisation."""

    scopes: tuple[Text, ...] = Field((), examples=[["openid", "email", "offline_access"]])
    """What inboxd asks the provider for; by default what reading mail needs there."""

    key_file: FilePath | None = Field(None, examples=["/etc/inboxd/token-key"])
    """File with the key under which the tokens are encrypted in the state directory, where there
    is no keyring. A key is made with: openssl rand -base64 32. inboxd looks for the systemd
    credential inboxd.token_key first, then here; without a key the tokens are in the keyring."""

    ca_file: FilePath | None = Field(None, examples=["/etc/inboxd/login-ca.pem"])
    """PEM file with the certificate authority of the provider, when it is not one that the system
    trusts."""
