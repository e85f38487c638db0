"""Replays for the doors: a mailbox tree on disk, or a user's own account, read-only."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from classifier.costs import NO_COSTS, Costs
from classifier.mail import Mail
from classifier.text import prepare
from daemon.config.settings import FolderSettings
from daemon.errors import ConfigError, ConfigFault, NotFound
from daemon.learning.gather import (
    TrainingSet,
    described_folders,
    label_costs,
    label_key,
    training_set,
)
from daemon.learning.pool import common_mail
from daemon.mail.parse import parse
from daemon.sorting.threads import hash_message_id
from daemon.use_cases.application import Application
from trainer.descriptions import Description, description_examples
from trainer.examples import Example

if TYPE_CHECKING:
    from classifier.featurizer import Featurizer

Progress = Callable[[int, int], None]

ENCODE_CHUNK = 64
"""Mails encoded between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class FiledMail:
    """One message of a mailbox tree: its folder, its file, its content parsed."""

    folder: str
    name: str
    mail: Mail


def read_tree(directory: Path) -> list[FiledMail]:
    """All `FOLDER/*.eml` (folders may be nested) in time order.

    The time is that of the Date header; a message without one is placed by its file name
    beside its neighbours in name order. Raises `NotFound` when there is none.
    """
    paths = sorted(directory.rglob("*.eml"), key=lambda path: (path.name, str(path)))
    found = [
        FiledMail(path.parent.relative_to(directory).as_posix(), path.name, parse(_read(path)))
        for path in paths
    ]
    if not found:
        raise NotFound(
            f"There is no FOLDER/*.eml below {directory}.",
            next_step="Name a directory that holds one directory per folder.",
        )
    moments: list[datetime] = []
    latest = datetime(1970, 1, 1, tzinfo=UTC)
    for each in found:
        latest = each.mail.date or latest
        moments.append(latest)
    order = sorted(range(len(found)), key=lambda at: (moments[at], found[at].name))
    return [found[at] for at in order]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}.", next_step="Check its permissions."
        ) from error


def baseline_text(each: FiledMail) -> str:
    """What the baselines read: the sender's address and all that the encoder is given."""
    return f"{each.mail.sender.address}\n{prepare(each.mail).encoder_text}"


def examples_of_tree(
    featurizer: Featurizer, mails: Sequence[FiledMail], progress: Progress
) -> list[Example]:
    """Examples in the given order, labelled by folder name."""
    examples: list[Example] = []
    start = datetime(1970, 1, 1, tzinfo=UTC)
    for first in range(0, len(mails), ENCODE_CHUNK):
        some = mails[first : first + ENCODE_CHUNK]
        features = featurizer.features([each.mail for each in some])
        for number, (each, one) in enumerate(zip(some, features, strict=True), start=first):
            examples.append(
                Example(
                    key=f"{number:08d}",
                    label=each.folder,
                    features=one,
                    date=each.mail.date or (examples[-1].date if examples else start),
                    message_id=hash_message_id(each.mail.message_id),
                    references=tuple(hash_message_id(r) for r in each.mail.references),
                )
            )
        progress(len(examples), len(mails))
    return examples


def read_descriptions(path: Path) -> dict[str, str]:
    """Sentence by folder from a TOML file: at its top or in a table [descriptions].

    Raises `NotFound` without the file, `ConfigError` when it says something else.
    """
    try:
        document = tomllib.loads(_read(path).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _not_descriptions(path, f"is not valid TOML: {error}") from error
    table = document.get("descriptions", document)
    if not isinstance(table, Mapping):
        table = document
    try:
        return dict(FolderSettings(descriptions=table).descriptions)
    except ValidationError as error:
        raise _not_descriptions(path, "must hold a text with words for each folder") from error


def _not_descriptions(path: Path, problem: str) -> ConfigError:
    mend = 'Write lines such as: "Invoices" = "Bills and reminders from suppliers"'
    return ConfigError(f"{path} holds no descriptions.", (ConfigFault(str(path), problem, mend),))


def described_examples(
    featurizer: Featurizer, mails: Sequence[FiledMail], descriptions: Mapping[str, str]
) -> list[Example]:
    """Pseudo-examples of those folders of the tree that are described."""
    folders = sorted({each.folder for each in mails} & descriptions.keys())
    return description_examples(
        [Description(folder, folder, descriptions[folder]) for folder in folders],
        featurizer.features,
    )


def costs_of_account(app: Application, name: str) -> Costs:
    """The configured costs of mistakes, by the labels of the account's examples."""
    share = app.share(name)
    if share is not None:
        fingerprint = app.models(name).encoder().fingerprint
        return common_mail(app.store, share, name, fingerprint, app.costs).costs
    with app.store.read() as work:
        account = work.accounts.get(name)
        return label_costs(work, account, app.costs) if account is not None else NO_COSTS


def examples_of_account(app: Application, name: str) -> tuple[list[Example], dict[str, str]]:
    """What `inboxd learn` gathered for an account (of all that share its model, if it does: see
    `shares.whose_mail`), its descriptions before it, and the folder names of the labels.

    Raises `NotFound` when nothing was gathered yet.
    """
    featurizer = app.models(name).encoder().featurizer
    data, described = _gathered(app, name, featurizer.fingerprint)
    if not data.examples:
        raise NotFound(
            f"Nothing is known of the mail of account {name} yet.",
            next_step=f"Run: inboxd learn --account {name}",
        )
    data = data.with_descriptions(described, description_examples(described, featurizer.features))
    return list(data.examples), {**data.label_names, label_key(None): data.inbox_name}


def _gathered(
    app: Application, name: str, fingerprint: str
) -> tuple[TrainingSet, Sequence[Description]]:
    share = app.share(name)
    if share is not None:
        common = common_mail(app.store, share, name, fingerprint, app.costs)
        return common.data, common.descriptions
    data = training_set(app.store, name, fingerprint, min_per_folder=1)
    with app.store.read() as work:
        account = work.accounts.get(name)
        configured = app.account(name).folders.descriptions
        return data, described_folders(work, account, configured) if account is not None else []


def honest_from(app: Application, name: str, examples: Sequence[Example]) -> int:
    """From which position on a replay of an account's examples is honest.

    After a deep fine-tune the encoder itself has seen the older ones. 0 without one.
    """
    seen = app.models(name).encoder().seen
    return max((at + 1 for at, one in enumerate(examples) if one.key in seen), default=0)
