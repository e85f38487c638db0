"""One mail account, and how inboxd gets in: [accounts.NAME]."""

from __future__ import annotations

import enum
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from daemon.config.settings.folders import FolderSettings
from daemon.config.settings.oauth import OAuthSettings
from daemon.config.settings.rules import RuleSettings
from daemon.config.settings.section import Section
from daemon.config.values import FilePath, Host, ModelName, Switch, Text, Whole, fault, is_loopback

IMPLICIT_TLS_PORT = 993

PLAIN_PORT = 143


class Tls(enum.StrEnum):
    """How the connection to the mail server is protected (RFC 8314)."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


class SignIn(enum.StrEnum):
    """How an account proves to the mail server who it is."""

    PASSWORD = "password"  # noqa: S105 - the name of a way
    GOOGLE = "google"
    MICROSOFT = "microsoft"
    OIDC = "oidc"


class Mode(enum.StrEnum):
    """How much inboxd may do to an account."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    SORT = "sort"


def default_port(values: dict[str, Any]) -> int:
    """993 for implicit TLS, 143 otherwise (RFC 8314, section 3.2; RFC 3501, section 2.1)."""
    return IMPLICIT_TLS_PORT if values.get("tls", Tls.IMPLICIT) is Tls.IMPLICIT else PLAIN_PORT


class AccountSettings(Section):
    """One mail account. NAME is yours to choose: letters, digits, - and _."""

    # host and tls come first: later checks and the default of port look at them.
    host: Host = Field(examples=["imap.example.org"])
    """Name or address of the IMAP server."""

    tls: Tls = Tls.IMPLICIT
    """How the connection is encrypted: "implicit" from the first byte, "starttls" after a
    greeting in clear text, "none" not at all (only for a server on this machine)."""

    port: Whole = Field(default_factory=default_port, ge=1, le=65_535)
    """Port of the server. By default 993, with "starttls" or "none" 143."""

    username: Text = Field(examples=["alice@example.org"])
    """The name to log in with, often the whole mail address."""

    sign_in: SignIn = SignIn.PASSWORD
    """How inboxd signs in: "password" (app passwords too), or OAuth 2 with "google", "microsoft"
    or another provider, "oidc". All but the first need [accounts.NAME.oauth] and once the command
    `inboxd login NAME`."""

    password_file: FilePath | None = Field(None, examples=["/run/secrets/inboxd-private"])
    """File that holds the password and nothing else. Others must not be able to read it. inboxd
    looks for a systemd credential first, then here, then in the keyring."""

    ca_file: FilePath | None = Field(None, examples=["/etc/inboxd/mail-ca.pem"])
    """PEM file with the certificate authority of the server, when it is not one that the system
    trusts. Certificates are always checked."""

    mode: Mode = Mode.SUGGEST
    """What inboxd may do: "observe" only records what it would do, "suggest" also lists it for
    you to review, "sort" moves mail."""

    poll_seconds: Whole = Field(60, ge=1, le=86_400)
    """How often inboxd looks for new mail and for mail that you moved."""

    idle: Switch = True
    """Whether the server may announce new mail at once (IMAP IDLE), between the polls."""

    timeout_seconds: Whole = Field(30, ge=1, le=3600)
    """How long inboxd waits for an answer of the server before it connects anew."""

    max_message_kb: Whole = Field(64, ge=1, le=65_536)
    """How much of the body of each mail is fetched, in kilobytes. Attachments beyond it are never
    loaded."""

    rules: tuple[RuleSettings, ...] = Field(
        (),
        max_length=500,
        examples=[
            [
                {"sender": "*@bank.example", "folder": "Bank"},
                {"header": {"X-Priority": "1"}, "leave": True},
            ]
        ],
    )
    """Rules that decide before the model does, in their order; see the section on rules. Each may
    also be a table of its own, [[accounts.NAME.rules]]."""

    keep_contacts: Switch = False
    """Whether mail from people to whom you write (whom your sent mail names) stays in the inbox,
    unless a rule says where it goes. Only keyed hashes of their addresses are kept."""

    shared_model: ModelName | None = Field(None, examples=["team"])
    """Accounts that name the same shared model have one model that learns from the mail and the
    corrections of all of them; folders of the same name count as one, and no mail is moved into a
    folder that its account does not have. By default each account has a model of its own. See
    docs/accounts.md."""

    folders: FolderSettings = Field(default_factory=FolderSettings)
    """The roles of the folders."""

    oauth: OAuthSettings = Field(default_factory=OAuthSettings, validate_default=True)
    """How the account signs in with OAuth 2."""

    @field_validator("oauth")
    @classmethod
    def _a_provider_knows_its_client(
        cls, oauth: OAuthSettings, info: ValidationInfo
    ) -> OAuthSettings:
        sign_in = info.data.get("sign_in", SignIn.PASSWORD)
        if sign_in is not SignIn.PASSWORD and oauth.client_id is None:
            raise fault(
                f'lacks client_id, which sign_in = "{sign_in.value}" needs',
                "Register inboxd with the provider (docs/accounts.md says how) and write "
                'client_id = "…" into this section.',
            )
        if sign_in is SignIn.OIDC and oauth.issuer is None:
            raise fault(
                'lacks issuer, which sign_in = "oidc" needs',
                "Write the provider's address into this section, for example: "
                'issuer = "https://login.example.org/realms/mail"',
            )
        return oauth

    @field_validator("tls")
    @classmethod
    def _plain_text_stays_on_this_machine(cls, tls: Tls, info: ValidationInfo) -> Tls:
        host = info.data.get("host")
        if tls is Tls.NONE and isinstance(host, str) and not is_loopback(host):
            raise fault(
                "would send the password unencrypted over the network",
                'Write tls = "implicit" or tls = "starttls"; "none" is for localhost only.',
            )
        return tls
