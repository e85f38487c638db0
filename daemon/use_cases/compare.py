"""Two configurations on the same mail of an account; nothing is promoted, nothing is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from classifier.labels import LEAVE
from daemon.config.overrides import changes, read_overrides
from daemon.config.settings import Settings
from daemon.errors import ModelError
from daemon.learning.gather import ignore
from daemon.use_cases.application import Application
from daemon.use_cases.replay import examples_of_account
from daemon.use_cases.shares import whose_mail
from daemon.use_cases.split import Split
from trainer.compare import Comparison, Learn, compare
from trainer.errors import ModelNotTrainable
from trainer.evaluate import learn_split
from trainer.examples import Example, TimeSplit, select, time_split
from trainer.splits import random_split

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """The outcome for one account. `files` are the names of the two files, `changed` what each
    changes of the configuration (dotted key to value), how the mail was parted, and `mail_of` which
    accounts it was: all that share the model."""

    account: str
    files: tuple[str, str]
    changed: tuple[Mapping[str, Any], Mapping[str, Any]]
    split: Split
    result: Comparison
    mail_of: tuple[str, ...] = ()


def compare_files(
    app: Application,
    name: str,
    files: tuple[Path, Path],
    *,
    split: Split = Split.TIME,
    progress: Progress = ignore,
) -> Compared:
    """Train with the overrides of each file on the same part of an account's mail, and compare
    on the newest. Needs no server: it takes the mail that was read already.

    Raises `ConfigError` (faults of a file), `NotFound` (nothing read yet), `ModelError` (too
    little mail for a split).
    """
    settings = [read_overrides(path, app.settings) for path in files]
    mail = known_mail(app, name)
    first, second = (learner(app, name, one, mail) for one in settings)
    names = _names(files)
    found = against_each_other(mail.split(split), first, second, names, progress)
    log.info("train.compared", account=name, mails=found.mails)
    return Compared(
        account=name,
        files=(str(files[0]), str(files[1])),
        changed=(_changed(app.settings, settings[0]), _changed(app.settings, settings[1])),
        split=split,
        result=found,
        mail_of=whose_mail(app, name),
    )


@dataclass(frozen=True, slots=True)
class KnownMail:
    """The examples of an account and the names of their labels."""

    account: str
    examples: tuple[Example, ...]
    label_names: Mapping[str, str]

    def split(self, kind: Split = Split.TIME) -> TimeSplit:
        """In three parts by `kind`."""
        return SPLITS[kind](self.examples)


SPLITS: Mapping[Split, Callable[[tuple[Example, ...]], TimeSplit]] = {
    Split.TIME: time_split,
    Split.RANDOM: random_split,
}
"""How mail can be parted into training, validation and test."""


def known_mail(app: Application, name: str) -> KnownMail:
    """What `inboxd learn` has read of an account, and of those that share its model.

    Raises `NotFound`, `ModelError`.
    """
    examples, label_names = examples_of_account(app, name)
    return KnownMail(name, tuple(examples), label_names)


def learner(app: Application, name: str, settings: Settings, mail: KnownMail) -> Learn:
    """How a configuration learns: from folders with enough mail, thinned out to its limit."""
    how = replace(app, settings=settings).refit_settings(name)

    def learn(split: TimeSplit) -> Any:
        return learn_split(
            learnable(split, how.min_per_folder, how.max_examples),
            mail.label_names,
            how.for_fit(),
            target_precision=how.target_precision,
        )

    return learn


def learnable(split: TimeSplit, fewest: int, most: int) -> TimeSplit:
    """The same with as much training mail as a configuration takes: no folder with too few
    mails, thinned out to its limit. Described folders and "leave it" always stay."""
    counts = Counter(one.label for one in split.train)
    always = {LEAVE, *(one.label for one in split.train if not one.is_mail)}
    enough = [one for one in split.train if one.label in always or counts[one.label] >= fewest]
    return replace(split, train=tuple(select(enough, most)))


def against_each_other(
    split: TimeSplit,
    first: Learn,
    second: Learn,
    names: tuple[str, str],
    progress: Progress = ignore,
) -> Comparison:
    """`compare`, telling `progress` of each side. Raises `ModelError`."""
    done = 0

    def counted(learn: Learn) -> Learn:
        def and_tell(part: TimeSplit) -> Any:
            nonlocal done
            learnt = learn(part)
            done += 1
            progress(done, 2)
            return learnt

        return and_tell

    progress(0, 2)
    try:
        return compare(split, counted(first), counted(second), names)
    except ModelNotTrainable as error:
        raise ModelError(
            error.reason, next_step="File more mail into folders, then run: inboxd learn"
        ) from error


def _names(files: tuple[Path, Path]) -> tuple[str, str]:
    """The files' names, or their paths where the names are the same."""
    if files[0].name == files[1].name:
        return str(files[0]), str(files[1])
    return files[0].name, files[1].name


def _changed(before: Settings, after: Settings) -> dict[str, Any]:
    sections = ("model", "training")
    return {
        ".".join(path): value
        for section in sections
        for path, value in changes(getattr(before, section), getattr(after, section), (section,))
    }
