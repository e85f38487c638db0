"""Could the daemon run? Connects to every account and says what it finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from daemon.errors import FolderMissing, InboxdError, MailboxError
from daemon.mailbox.port import FolderInfo, FolderStatus, Mailbox, SpecialUse
from daemon.sorting.folders import FolderPatterns
from daemon.store.tables import Role
from daemon.use_cases.application import Application
from daemon.use_cases.costs import cost_warnings
from daemon.use_cases.rules import rule_warnings
from daemon.use_cases.shares import share_warnings


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """One folder of the server and what it is to inboxd; role "ignored" is not even watched."""

    name: str
    role: str
    special_use: str | None
    messages: int | None


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """One account. `moves_by` is "MOVE", "COPY + UID EXPUNGE" or "nothing"."""

    name: str
    ok: bool
    mode: str
    sign_in: str = "password"
    error: str | None = None
    next_step: str | None = None
    exit_code: int = 0
    moves_by: str | None = None
    idle: bool = False
    server_id: str | None = None
    capabilities: tuple[str, ...] = ()
    folders: tuple[FolderCheck, ...] = ()
    model: str | None = None
    warnings: tuple[str, ...] = ()


def check(app: Application, name: str | None) -> list[AccountCheck]:
    """Look at each account as the daemon would; reads only."""
    return [_check(app, account_name) for account_name in app.names(name)]


def _check(app: Application, name: str) -> AccountCheck:
    mode = app.account(name).mode.value
    sign_in = app.account(name).sign_in.value
    model = None
    try:
        model = app.models(name).current()
        with app.mailbox(name) as mailbox:
            described = app.account(name).folders.descriptions
            found = _look(mailbox, app.patterns(name), name, mode, model, described)
        labels = {each.name for each in found.folders if each.role == Role.LABEL.value}
        costs = cost_warnings(app, name, labels)
        watched = [each for each in found.folders if each.role != "ignored"]
        rules = rule_warnings(
            app,
            name,
            [each.name for each in watched],
            trash=[each.name for each in watched if each.special_use == SpecialUse.TRASH.value],
        )
        if app.account(name).keep_contacts and not any(
            each.special_use == SpecialUse.SENT.value for each in found.folders
        ):
            rules.append("keep_contacts has no effect: the server marks no folder as sent mail.")
        more = (*costs, *rules, *share_warnings(app, name))
        return replace(found, sign_in=sign_in, warnings=(*found.warnings, *more))
    except InboxdError as error:
        return AccountCheck(
            name,
            ok=False,
            mode=mode,
            sign_in=sign_in,
            error=str(error),
            next_step=error.next_step,
            exit_code=error.exit_code,
            model=model,
        )


def _look(
    mailbox: Mailbox,
    patterns: FolderPatterns,
    name: str,
    mode: str,
    model: str | None,
    described: Collection[str],
) -> AccountCheck:
    folders = list_folders(mailbox, patterns)
    roles = [folder.role for folder in folders]
    capabilities = mailbox.capabilities
    has_inbox = Role.INBOX.value in roles
    warnings = []
    if Role.LABEL.value not in roles:
        warnings.append("No label folder: create the folders that mail should be sorted into.")
    labels = {folder.name for folder in folders if folder.role == Role.LABEL.value}
    warnings += [
        f"A description without a folder: {folder!r} is no label folder on the server."
        for folder in described
        if folder not in labels
    ]
    if not capabilities.can_move_safely:
        warnings.append("The server has neither MOVE nor UIDPLUS: inboxd can only suggest.")
    if model is None:
        warnings.append(f"No model yet: run inboxd learn --account {name}")
    return AccountCheck(
        name=name,
        ok=has_inbox,
        mode=mode,
        error=None if has_inbox else f"The inbox {patterns.inbox!r} does not exist.",
        next_step=None if has_inbox else f"Set inbox in [accounts.{name}.folders].",
        exit_code=0 if has_inbox else FolderMissing.exit_code,
        moves_by=_moves_by(mailbox),
        idle=capabilities.idle,
        server_id=capabilities.server_id,
        capabilities=tuple(sorted(capabilities.names)),
        folders=tuple(folders),
        model=model,
        warnings=tuple(warnings),
    )


def list_folders(mailbox: Mailbox, patterns: FolderPatterns) -> list[FolderCheck]:
    """All folders with their roles and sizes, the inbox first."""
    infos = mailbox.folders()
    statuses = mailbox.statuses([info.name for info in infos if info.selectable])
    found = [_folder(info, patterns, statuses.get(info.name)) for info in infos]
    order = {Role.INBOX.value: 0, Role.LABEL.value: 1, Role.NEUTRAL.value: 2}
    return sorted(found, key=lambda f: (order.get(f.role, 3), f.name))


def _folder(
    info: FolderInfo, patterns: FolderPatterns, status: FolderStatus | MailboxError | None
) -> FolderCheck:
    """A folder that may not be opened is listed too, without a size."""
    role = patterns.role(info)
    return FolderCheck(
        name=info.name,
        role=role.value if role is not None else "ignored",
        special_use=info.special_use.value if info.special_use is not None else None,
        messages=status.messages if isinstance(status, FolderStatus) else None,
    )


def _moves_by(mailbox: Mailbox) -> str:
    if mailbox.capabilities.move:
        return "MOVE"
    return "COPY + UID EXPUNGE" if mailbox.capabilities.uidplus else "nothing"
