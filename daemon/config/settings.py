"""Every option of inboxd: its type, its default and what it means.

The attribute docstrings below are the documentation: `config.example.toml` and the tables in
`docs/configuration.md` are generated from them (`python -m daemon.config.docs`) and the fault
messages quote them. All models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from daemon.config.environment import EnvironmentSource
from daemon.config.values import (
    AccountName,
    Confusion,
    Cost,
    DatabaseUrl,
    Description,
    FilePath,
    FolderName,
    HeaderName,
    Host,
    Listen,
    ModelName,
    Number,
    Pattern,
    RulePattern,
    Switch,
    Text,
    TimeOfDay,
    Url,
    Whole,
    fault,
    is_loopback,
)

IMPLICIT_TLS_PORT = 993
PLAIN_PORT = 143
SHORTEST_MEMORY_DAYS = 90
"""What judges the last weeks needs their decisions whole."""


class Device(enum.StrEnum):
    """Where the encoder computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


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


class LogLevel(enum.StrEnum):
    """The least important kind of log line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class HeadKind(enum.StrEnum):
    """What decides on top of the encoder."""

    RIDGE = "ridge"
    CLASSIC = "classic"


class Deep(enum.StrEnum):
    """When the encoder itself is tuned."""

    NEVER = "never"
    NIGHTLY = "nightly"


class LogFormat(enum.StrEnum):
    """What a log line looks like."""

    CONSOLE = "console"
    JSON = "json"


class Webhook(enum.StrEnum):
    """What a webhook understands."""

    OFF = "off"
    NTFY = "ntfy"
    GOTIFY = "gotify"
    JSON = "json"


class Language(enum.StrEnum):
    """The language in which people are told something (ISO 639-1)."""

    EN = "en"
    DE = "de"


class Weekday(enum.StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """0 is Monday, as with `datetime.date.weekday`."""
        return list(Weekday).index(self)


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/inboxd`, or `~/.local/state/inboxd` (XDG Base Directory, 0.8).

    A user without a home directory (a container's, a system service's) gets `/var/lib/inboxd`.
    """
    return _xdg_dir("XDG_STATE_HOME", ".local/state", Path("/var/lib/inboxd"))


def default_cache_dir() -> Path:
    """systemd's `$CACHE_DIRECTORY`, `$XDG_CACHE_HOME/inboxd`, or `~/.cache/inboxd`.

    A user without a home directory gets `/var/cache/inboxd`.
    """
    directory = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if Path(directory).is_absolute():
        return Path(directory)
    return _xdg_dir("XDG_CACHE_HOME", ".cache", Path("/var/cache/inboxd"))


def _xdg_dir(variable: str, below_home: str, without_home: Path) -> Path:
    base = os.environ.get(variable, "")
    if Path(base).is_absolute():
        return Path(base) / "inboxd"
    try:
        return Path.home() / below_home / "inboxd"
    except RuntimeError:
        return without_home


def default_port(values: dict[str, Any]) -> int:
    """993 for implicit TLS, 143 otherwise (RFC 8314, section 3.2; RFC 3501, section 2.1)."""
    return IMPLICIT_TLS_PORT if values.get("tls", Tls.IMPLICIT) is Tls.IMPLICIT else PLAIN_PORT


class Section(BaseModel):
    """Common behaviour of all sections."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class StateSettings(Section):
    """What inboxd keeps."""

    dir: FilePath = Field(default_factory=default_state_dir, examples=["/var/lib/inboxd"])
    """Directory for the database, the models and the feature cache. One running inboxd per
    directory. By default $XDG_STATE_HOME/inboxd, which is mostly ~/.local/state/inboxd."""

    database: DatabaseUrl | None = Field(
        None, examples=["postgresql://inboxd@/inboxd?host=/run/postgresql"]
    )
    """A PostgreSQL database instead of the SQLite file in dir, for this inboxd alone:
    "postgresql://USER@HOST/DATABASE", without a password. The connection is encrypted and the
    certificate checked unless the server is this machine; ?sslrootcert=FILE names an authority of
    your own. Needs the extra "postgres"; docs/store.md says how to move there."""

    database_password_file: FilePath | None = Field(None, examples=["/run/secrets/inboxd-database"])
    """File that holds the password of the database and nothing else. Others must not be able to
    read it. inboxd looks for the systemd credential inboxd.database_password first, then here,
    then in the keyring. Not needed where the server knows the user of the system (peer)."""

    keep_decisions_days: Whole = Field(730, ge=0, le=36_500)
    """How long the details of decisions are kept: folder, probabilities, model and reason. Of an
    older one only remains when it was made and what became of it, so that no mail is sorted twice
    and undo still works. At least 90; 0 keeps everything."""

    @field_validator("keep_decisions_days")
    @classmethod
    def _long_enough_to_judge_by(cls, days: int) -> int:
        if 0 < days < SHORTEST_MEMORY_DAYS:
            raise fault(
                "is too short to tell how well inboxd has sorted lately",
                f"Write {SHORTEST_MEMORY_DAYS} or more, or 0 to keep everything.",
            )
        return days


class BlockSettings(Section):
    """How much each kind of evidence counts when two mails are compared.

    Only the proportions to each other and to ridge_lambda matter; 0 leaves a kind out. The defaults
    were chosen by replaying real mailboxes; `inboxd tune` looks for better ones on your own mail.
    """

    words: Number = Field(1.0, ge=0, le=100)
    """Words and pairs of neighbouring words, of attachments' names too."""

    characters: Number = Field(2.0, ge=0, le=100)
    """Runs of three to five characters: parts of words, spellings, numbers."""

    sender: Number = Field(1.0, ge=0, le=100)
    """The sender's address, domain and name."""

    recipients: Number = Field(1.0, ge=0, le=100)
    """The addresses and domains in To and Cc."""

    list: Number = Field(1.0, ge=0, le=100)
    """The mailing list that the mail came through."""

    meta: Number = Field(0.25, ge=0, le=100)
    """Language, kinds of attachments, signs of a machine as the sender."""

    deep: Number = Field(1.5, ge=0, le=100)
    """The meaning of the text, as the encoder understands it."""

    @model_validator(mode="after")
    def _something_counts(self) -> BlockSettings:
        if not any(self.model_dump().values()):
            raise fault(
                "leaves nothing to compare mail by",
                "Give at least one of its keys a value above 0.",
            )
        return self


class ModelSettings(Section):
    """The model that reads mail."""

    encoder: Text = "bundled"
    """The BERT that turns text into numbers: "bundled" (multilingual-e5-small, comes with the
    installation), the id of a model on the Hugging Face hub, or a directory (a path that begins
    with /, ./, ../ or ~)."""

    cache_dir: FilePath = Field(default_factory=default_cache_dir, examples=["/var/cache/inboxd"])
    """Directory for the bundled encoder in the form that inboxd loads, about 250 MB, made at the
    first use. It may be shared and may be deleted while inboxd is stopped. By default
    $XDG_CACHE_HOME/inboxd, which is mostly ~/.cache/inboxd."""

    device: Device = Device.AUTO
    """Where the encoder computes. "auto" takes a GPU when there is one."""

    target_precision: Number = Field(0.97, ge=0.5, le=0.999)
    """How often inboxd has to be right before it may move mail into a folder. A folder for which
    your past mail does not promise this gets suggestions only. Higher means fewer moves and fewer
    wrong ones."""

    costs: Mapping[Confusion, Cost] = Field(
        default_factory=dict, examples=[{"Schadensmeldungen -> Kündigungen": 5}]
    )
    """What a mistake costs, in mails left in the inbox; by default 1. The line says where the mail
    belongs and where it is wrongly filed; * is any folder. inboxd then moves such mail only when
    it is surer. Holds for every account that has these folders; may also be a table of its own,
    [model.costs]."""

    max_tokens: Whole = Field(256, ge=16, le=8192)
    """How much of a mail the encoder reads, in tokens of about four letters. More is slower;
    everything encoded so far is encoded again after a change."""

    head: HeadKind = HeadKind.RIDGE
    """What decides on top of the encoder: "ridge", one linear layer over everything that a mail
    tells, learnt exactly in a second; or "classic", BERT's pooling layer and a linear layer over
    the text's meaning alone, learnt in steps (section classic_head). See docs/fine-tuning.md."""

    ridge_lambda: Number = Field(0.03, ge=0.0001, le=100.0)
    """How strongly the classifier is held back from believing single mails (the λ of ridge
    regression). Results hardly change between 0.01 and 0.1."""

    threads: Whole = Field(0, ge=0, le=1024)
    """CPU threads for the encoder and for learning; 0 takes all cores."""

    keep_models: Whole = Field(10, ge=2, le=1000)
    """How many models are kept to roll back to, the one in use included."""

    blocks: BlockSettings = Field(default_factory=BlockSettings)
    """How much each kind of evidence counts."""


class TrainingSettings(Section):
    """When inboxd learns, and from what."""

    debounce_seconds: Whole = Field(5, ge=0, le=3600)
    """How long inboxd waits after your last correction before it learns from it, so that moving
    twenty mails leads to one re-fit."""

    nightly_at: TimeOfDay = Field(time(3, 30))
    """Time of day, in the machine's time zone, of the nightly training and house-keeping."""

    min_examples_per_folder: Whole = Field(3, ge=1, le=10_000)
    """From how many mails on a folder takes part in learning."""

    newest_per_folder: Whole = Field(500, ge=1, le=100_000)
    """How many of the newest mails of each folder are read for learning."""

    max_examples: Whole = Field(20_000, ge=10, le=100_000)
    """How many examples per account the classifier is fitted to at most. Of more, the newest are
    taken, balanced over the folders. Up to 6000 are fitted in one piece (150 MB of memory), more
    in parts that are averaged: about as good, and the time only grows with their number."""

    keep_fit_mb: Whole = Field(500, ge=0, le=1_000_000)
    """How much memory, in megabytes and for all accounts together, the daemon may use to keep what
    it computed at the last training, so that the next one takes a tenth of the time. It uses as
    much as there is mail: about 40 for 1000 examples, 250 for 5000, 1300 for 20,000. An account
    that finds no room is trained from scratch each time, as all are with 0."""

    hold_moves_per_hour: Whole = Field(100, ge=0, le=1_000_000)
    """When you (or a program in your name) move more mails than this within an hour, they are
    not learned from until you confirm it with "inboxd held confirm". 0 never holds back."""

    hold_folder_share: Number = Field(0.5, ge=0.0, le=1.0)
    """The same when at least this share of one folder, and at least 20 mails, is moved out of it
    within an hour. 0 never holds back."""

    deep: Deep = Deep.NEVER
    """Whether the encoder itself is tuned to your mail (inboxd train --deep): "never" by itself,
    or "nightly" when enough is new. Without a GPU it takes from many minutes to hours, and where it
    was measured it did not pay: see docs/fine-tuning.md."""

    tensorboard: Switch = False
    """Whether whatever learns in steps also writes its curves for TensorBoard, into the directory
    tensorboard of the state directory. Needs: pip install 'inboxd[tensorboard]'."""


class ClassicHeadSettings(Section):
    """How the classic head learns; only with head = "classic"."""

    epochs: Whole = Field(60, ge=1, le=10_000)
    """How often each mail is looked at, at most."""

    patience: Whole = Field(6, ge=1, le=1000)
    """After so many epochs without a lower validation loss it stops."""

    batch_size: Whole = Field(32, ge=1, le=4096)
    """How many mails are learnt from in one step."""

    learning_rate: Number = Field(0.001, gt=0, le=1.0)
    """The size of a step, reached after the warm-up."""

    weight_decay: Number = Field(0.01, ge=0, le=1.0)
    """How strongly weights are pulled to zero; more helps against overfitting."""

    dropout: Number = Field(0.1, ge=0, le=0.9)
    """Share of the pooled vector that is left out at random while learning; more helps against
    overfitting."""

    warm_up: Number = Field(0.1, ge=0, le=0.9)
    """Share of the steps in which the learning rate rises."""

    balance: Number = Field(0.5, ge=0, le=1.0)
    """How far small folders are given more weight: 0 all mails count alike, 1 all folders."""

    seed: Whole = Field(17, ge=0, le=4_294_967_295)
    """Where chance begins; the same seed gives the same model."""


class DeepTuningSettings(Section):
    """How the encoder is tuned (LoRA), and what that may take of this machine."""

    rank: Whole = Field(8, ge=1, le=256)
    """Rank of the change to each weight matrix."""

    layers: Whole = Field(4, ge=1, le=48)
    """How many of the encoder's upper layers are changed. The others, and the word embeddings,
    stay as they are."""

    dropout: Number = Field(0.1, ge=0, le=0.9)
    """Dropout on the change; more helps against overfitting."""

    learning_rate: Number = Field(0.0005, gt=0, le=1.0)
    """The size of a step, reached after the warm-up."""

    weight_decay: Number = Field(0.01, ge=0, le=1.0)
    """How strongly the change is pulled to zero; more helps against overfitting."""

    warm_up: Number = Field(0.1, ge=0, le=0.9)
    """Share of the steps in which the learning rate rises."""

    epochs: Whole = Field(3, ge=1, le=1000)
    """How often each mail is looked at, at most."""

    patience: Whole = Field(3, ge=1, le=1000)
    """After so many looks at the validation mail without a lower loss it stops."""

    looks_per_epoch: Whole = Field(2, ge=1, le=100)
    """How often per epoch it looks at the validation mail, and writes a checkpoint."""

    batch_size: Whole = Field(16, ge=1, le=1024)
    """How many mails are learnt from in one step."""

    max_tokens: Whole = Field(128, ge=16, le=8192)
    """Where mail is cut while tuning; at most what [model] max_tokens says."""

    balance: Number = Field(0.5, ge=0, le=1.0)
    """How far small folders are given more weight: 0 all mails count alike, 1 all folders."""

    seed: Whole = Field(17, ge=0, le=4_294_967_295)
    """Where chance begins; the same seed gives the same result on the same machine."""

    min_examples: Whole = Field(500, ge=10, le=1_000_000)
    """With fewer examples there is no nightly tuning."""

    new_examples: Whole = Field(200, ge=1, le=1_000_000)
    """So many examples must have come since the last tuning before the next nightly one."""

    nice: Whole = Field(15, ge=0, le=19)
    """How far the tuning steps back behind everything else on this machine."""

    memory_mb: Whole = Field(4096, ge=256, le=1_048_576)
    """Memory that the tuning may use, in megabytes. It ends with a message when that is not
    enough (Linux only)."""

    threads: Whole = Field(0, ge=0, le=1024)
    """CPU threads for the tuning; 0 takes all cores."""

    max_minutes: Whole = Field(120, ge=1, le=10_080)
    """After so long the tuning ends with the best it has found."""


class LoggingSettings(Section):
    """What inboxd writes to standard error. Never text from mail, never passwords."""

    level: LogLevel = LogLevel.INFO
    """The least important kind of line that is still written."""

    format: LogFormat = LogFormat.CONSOLE
    """How a line looks: "console" for people, "json" one object per line for programs."""


class MetricsSettings(Section):
    """What programs that watch over inboxd are told: /metrics for Prometheus, and /healthz. Off
    unless listen is set; see docs/monitoring.md."""

    listen: Listen | None = Field(None, examples=["127.0.0.1:9464"])
    """Address and port to answer on. Nobody is asked for a password and nothing is encrypted: who
    reaches the port reads your folders' names and how much mail goes where. Keep it on 127.0.0.1;
    in a container it must be "0.0.0.0:9464", and the container's network has to keep others out."""

    hosts: tuple[Host, ...] = Field((), examples=[["inboxd.example.org"]])
    """Names with a dot by which it may be asked for. Addresses, localhost and names without a dot
    always may; all others are refused, so that no web page can read the metrics through a browser
    (DNS rebinding)."""

    folder_names: Switch = True
    """Whether the metrics name your folders. If not, they are numbered."""


class NoticeSettings(Section):
    """What inboxd tells you by itself: how the week was, that an account needs you to sign in,
    that a folder broke its promise. Off unless mail or webhook is set; see docs/monitoring.md."""

    mail: Switch = False
    """Whether a notice comes as a mail into the account's own inbox. Only for accounts with mode
    "sort": in the other modes inboxd changes nothing in your mailbox. An account that cannot be
    reached or signed in to can only be told of by webhook."""

    webhook: Webhook = Webhook.OFF
    """Whether a notice is posted to an address: "ntfy" (its text, with title and priority as
    headers), "gotify" or "json" (an object with id, kind, account, title, text, urgent, at)."""

    url_file: FilePath | None = Field(None, examples=["/etc/inboxd/webhook-url"])
    """File that holds the webhook's address and nothing else; it is kept like a password, since a
    topic or a token in it lets others in. inboxd looks for the systemd credential
    inboxd.notices_url first, then here, then in the keyring (service "inboxd", user
    "notices:url"). Begins with https://, or with http:// on this machine."""

    ca_file: FilePath | None = Field(None, examples=["/etc/inboxd/webhook-ca.pem"])
    """PEM file with the certificate authority of the webhook, when it is not one that the system
    trusts. Certificates are always checked."""

    folder_names: Switch = False
    """Whether a webhook is told the names of your folders. If not, it gets counts and the names of
    accounts alone. A mail to yourself always names them."""

    language: Language = Language.EN
    """The language of notices: "en" or "de"."""

    weekly: Switch = True
    """Whether there is a summary of each week."""

    weekly_on: Weekday = Weekday.MONDAY
    """The day of the week on which it comes."""

    weekly_at: TimeOfDay = Field(time(8, 0))
    """The time of day, in the machine's time zone. When inboxd does not run then, the summary
    comes as soon as it does; of several missed ones only the last."""

    overdue_hours: Whole = Field(6, ge=1, le=720)
    """How long an account must have gone without a good pass before the webhook tells of it."""


class FolderSettings(Section):
    """The roles of an account's folders.

    Patterns are those of the shell: * stands for anything (the delimiter between parent and child
    folders too), ? for one character, [abc] for one of these. Capitals and small letters differ.
    """

    inbox: Text = "INBOX"
    """The folder where new mail arrives and out of which it is sorted."""

    labels: tuple[Pattern, ...] = ("*",)
    """Folders that inboxd learns and sorts into."""

    neutral: tuple[Pattern, ...] = Field((), examples=[["Archive/*"]])
    """Folders that inboxd leaves alone and learns nothing from, even when a pattern of labels
    matches them too. Trash, junk, sent mail, drafts and archives that the server marks as such
    are always neutral."""

    descriptions: Mapping[FolderName, Description] = Field(
        default_factory=dict,
        examples=[{"Kündigungen": "Kunden beenden ihren Vertrag oder ihr Abo"}],
    )
    """A sentence for each folder about the mail that belongs there, in the words of that mail.
    A folder with a sentence is suggested before its first mail; may also be a table of its own,
    [accounts.NAME.folders.descriptions]."""


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


class RuleSettings(Section):
    """One rule: all conditions that it names must hold, then the mail goes to its folder or stays
    in the inbox.

    Rules are tried in their order, before the model, and the first that fits decides. A condition
    is a text for the whole value in which * stands for anything and ? for one character, or a
    regular expression (RE2) between slashes, which may be found anywhere in it; capitals and small
    letters are the same. What a mail lacks fits no condition. inboxd rules test shows what your
    rules would do with past mail.
    """

    sender: RulePattern | None = Field(None, examples=["*@bank.example"])
    """The address of the sender."""

    domain: RulePattern | None = Field(None, examples=["bank.example"])
    """The domain of the sender, or one above it: "bank.example" fits mail.bank.example too."""

    list: RulePattern | None = Field(None, examples=["*.lists.example.org"])
    """The identifier of the mailing list, without angle brackets (List-Id)."""

    subject: RulePattern | None = Field(None, examples=["/^Kontoauszug \\d+/"])
    """The subject."""

    header: Mapping[HeaderName, RulePattern] = Field(
        default_factory=dict, examples=[{"X-Spam-Flag": "YES"}]
    )
    """Any other header fields by name; of several fields with one name, one has to fit."""

    folder: Text | None = Field(None, examples=["Bank"])
    """Where the mail goes: a label folder, or a neutral one except the trash."""

    leave: Switch = False
    """With true the mail stays in the inbox, whatever the model thinks."""

    @model_validator(mode="after")
    def _says_when_and_what(self) -> RuleSettings:
        if not (self.sender or self.domain or self.list or self.subject or self.header):
            raise fault(
                "has no condition, so it would fit every mail",
                "Give it at least one of sender, domain, list, subject, header.",
            )
        if (self.folder is not None) == self.leave:
            raise fault(
                "must say either where the mail goes or that it stays",
                'Write one of the two: folder = "Bank" or leave = true',
            )
        return self


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


class Settings(BaseSettings):
    """The whole configuration. Environment variables win over what is passed in.

    Use `daemon.config.load.load_config`, which reports all faults in plain words.
    """

    model_config = SettingsConfigDict(
        case_sensitive=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    state: StateSettings = Field(default_factory=StateSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    classic_head: ClassicHeadSettings = Field(default_factory=ClassicHeadSettings)
    deep_tuning: DeepTuningSettings = Field(default_factory=DeepTuningSettings)
    logging: LoggingSettings = Field(default_factory=LoggingSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    notices: NoticeSettings = Field(default_factory=NoticeSettings)
    accounts: Mapping[AccountName, AccountSettings] = Field(min_length=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings' signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the values read from the configuration file."""
        return EnvironmentSource(settings_cls, given=init_settings()), init_settings
