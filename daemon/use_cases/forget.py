"""Forgetting: everything about one account, or everything learned from one sender.

Rows are deleted (SQLite overwrites them, `secure_delete`), then the database is written anew and
its -wal emptied. What this cannot reach: backups, states that a restore moved aside, and what a
file system or an SSD keeps of a file that was deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from classifier.features import Block, Features, index_of, sender_name
from classifier.registry import Registry
from daemon.config.values import is_account_name
from daemon.errors import InboxdError, NotFound
from daemon.learning.deep.directory import RunDirectory
from daemon.learning.share import SIGN, is_shared, traces_of
from daemon.locks import account_lock, deep_lock, lock_files, model_lock, sole_access
from daemon.sign_in.vault import token_file
from daemon.store import UnitOfWork
from daemon.use_cases.application import Application
from daemon.use_cases.backup import MODELS
from daemon.use_cases.learn import train
from daemon.use_cases.tune import study_file

log = structlog.get_logger(__name__)

FORGOTTEN = "Forgotten."
"""The reason of a decision of which nothing else is left."""


@dataclass(frozen=True, slots=True)
class AccountForgotten:
    """What of an account is (with `dry_run`: would be) deleted. `configured`: it is still in the
    configuration, so inboxd would begin anew with it. `compacted`: nothing is left in the -wal.
    `shared_models`: names of those that were trained with its mail, and are trained anew without it
    when inboxd runs again."""

    account: str
    messages: int
    decisions: int
    examples: int
    directories: tuple[Path, ...]
    configured: bool
    kept_elsewhere: tuple[Path, ...]
    dry_run: bool
    compacted: bool = True
    shared_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderForgotten:
    """What of a sender is (with `dry_run`: would be) deleted in one account.

    `messages`: mails of this sender that inboxd has read. `examples` of them taught something.
    `models` had to go, since they may hold the sender's words; `model` was trained without them,
    and where it is None `reason` says why there is none yet.
    """

    account: str
    messages: int
    examples: int
    decisions: int
    models: int
    dry_run: bool
    model: str | None = None
    reason: str = ""
    compacted: bool = True


def forget_account(app: Application, name: str, *, dry_run: bool = False) -> AccountForgotten:
    """Delete all rows and files of an account, configured or not.

    Killed half-way, it can be called again. Raises `NotFound` when there is nothing,
    `AlreadyRunning` when inboxd runs.
    """
    if not is_account_name(name):
        raise NotFound(f"{name!r} is no name of an account.", next_step="Run: inboxd status")
    with ExitStack() as held:
        if not dry_run:
            held.enter_context(sole_access(app.state_dir))
        paths = tuple(path for path in _paths(app.state_dir, name) if path.exists())
        with app.store.read() as work:
            account = work.accounts.get(name)
            known = [each.name for each in work.accounts.every() if not is_shared(each.name)]
            traces = traces_of(work, name)
            if account is None and not paths and not traces:
                raise NotFound(
                    f"Nothing is known of an account {name!r}.",
                    next_step=f"Known accounts: {', '.join(known) or 'none'}.",
                )
            found = AccountForgotten(
                account=name,
                messages=work.messages.count(account) if account is not None else 0,
                decisions=sum(work.decisions.counts(account).values()) if account else 0,
                examples=len(work.examples.every(account)) if account is not None else 0,
                directories=paths,
                configured=name in app.settings.accounts,
                kept_elsewhere=tuple(sorted(app.state_dir.glob("replaced-*"))),
                dry_run=dry_run,
                shared_models=tuple(owner.removeprefix(SIGN) for owner in traces),
            )
        if dry_run:
            return found
        for owner in (name, *traces):
            app.engine.kept.drop(owner)
        with app.store.write() as work:
            _leave_shared_models(app, work, name)
            account = work.accounts.get(name)
            if account is not None:
                work.accounts.delete(account)
            work.commit()
        compacted = app.store.compact()
        others = [each for each in {*known, *app.settings.accounts} if each != name]
        _remove((*paths, *lock_files(app.state_dir, name, but_not_of=others)))
    log.info("forget.account", messages=found.messages, compacted=compacted)
    return replace(found, compacted=compacted)


def _leave_shared_models(app: Application, work: UnitOfWork, name: str) -> None:
    """Remove all shared models that were trained with an account's mail, the files first: a second
    call finds what is left by the rows."""
    for owner, rows in traces_of(work, name).items():
        registry = Registry(app.state_dir / MODELS / owner)
        registry.remove([row.version for row in rows])
        for row in rows:
            work.models.delete(row)


def _paths(state_dir: Path, name: str) -> Iterator[Path]:
    """Directories and files of an account, without its locks."""
    yield state_dir / MODELS / name
    yield RunDirectory(state_dir, name).path
    yield state_dir / "tensorboard" / name
    yield token_file(name, state_dir)
    study = study_file(state_dir, name)
    yield study
    yield from (study.with_name(f"{study.name}{end}") for end in ("-journal", "-wal", "-shm"))


def _remove(paths: Collection[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def forget_sender(
    app: Application, address: str, name: str | None = None, *, dry_run: bool = False
) -> list[SenderForgotten]:
    """Delete what was learned from a sender, in one account or in all of the configuration.

    The database knows no address: mails are recognised by the hash of the sender's address in
    their cached features. Their features go, decisions about them keep nothing but that there was
    one (a mail is decided once), and they are never learned from again, unless the person moves
    them. Every model goes, and a new one is trained at once, if the mail server is in reach.

    Raises `NotFound` when no mail of this sender was read, `AlreadyRunning` during a deep
    fine-tune.
    """
    found = [
        each
        for account in app.names(name)
        if (each := _forget_in(app, account, address, dry_run=dry_run)) is not None
    ]
    if not found:
        raise NotFound(
            "No mail of this sender has been read, or its features are not kept any more.",
            next_step="Write the whole address as in the mail's From.",
        )
    return found


def _forget_in(
    app: Application, name: str, address: str, *, dry_run: bool
) -> SenderForgotten | None:
    with ExitStack() as held:
        if not dry_run:
            held.enter_context(deep_lock(app.state_dir, name))
            held.enter_context(account_lock(app.state_dir, name, on_wait=app.on_wait))
        with app.store.read() as work:
            ids = _messages_from(work, name, address)
            counts = work.examples.count_of(ids), work.decisions.count_of(ids)
        if not ids:
            return None
        models = app.models(name)
        figures = (name, len(ids), *counts, len(models.registry.versions()))
        if dry_run:
            return SenderForgotten(*figures, dry_run=True)
        # The models first: as long as the features are there, a second call finds the rest.
        _leave_former_models(app, name, ids)
        # Nobody who shares them trains another one before the features are gone.
        held.enter_context(models.locked())
        models.forget(frozenset(map(str, ids)))
        for owner in {name, app.owner(name)}:
            app.engine.kept.drop(owner)
        RunDirectory(app.state_dir, name).remove()
        with app.store.write() as work:
            work.features.drop(ids)
            work.decisions.strip(ids, FORGOTTEN)
            work.attempts.put(dict.fromkeys(ids, 0), app.clock())
            work.examples.shut_out(ids, app.clock())
            work.commit()
        compacted = app.store.compact()
    log.info("forget.sender", account=name, messages=len(ids), compacted=compacted)
    model, reason = _trained_again(app, name)
    return SenderForgotten(*figures, dry_run=False, model=model, reason=reason, compacted=compacted)


def _leave_former_models(app: Application, name: str, ids: Collection[int]) -> None:
    """Remove the models that an account had before it shared one, and those that it shared once."""
    if app.share(name) is not None:
        app.engine.account(name).forget(frozenset(map(str, ids)))
    with app.store.read() as work:
        traces = traces_of(work, name)
    for owner in traces.keys() - {app.owner(name)}:
        with model_lock(app.state_dir, owner.removeprefix(SIGN)):
            registry = Registry(app.state_dir / MODELS / owner)
            registry.remove([row.version for row in traces[owner]])


def _messages_from(work: UnitOfWork, name: str, address: str) -> list[int]:
    account = work.accounts.get(name)
    if account is None:
        return []
    wanted = index_of(Block.SENDER, sender_name(address))
    return sorted(
        {
            message_id
            for message_id, data in work.features.every(account)
            if wanted in Features.from_bytes(data).indices
        }
    )


def _trained_again(app: Application, name: str) -> tuple[str | None, str]:
    try:
        result = train(app, name)
    except InboxdError as error:
        return None, f"{error} It is trained with the next learning, or now with: inboxd train"
    return result.version if result.promoted else None, result.reason
