"""The rules of an account: what they say, what they did, and what they would do with past mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.errors import NotFound
from daemon.mail.letterhead import Letterhead, read_letterhead
from daemon.sorting.folders import composed
from daemon.sorting.rules import Rule, RuleBook
from daemon.store import UnitOfWork
from daemon.store.tables import Account, Folder, Role
from daemon.use_cases.application import Application, never

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); the stage is "fetch"."""


@dataclass(frozen=True, slots=True)
class RuleState:
    """One rule. `conditions` as they stand in the configuration; `folder` None: the mail stays.
    `decided`: on how many mails it decided so far. `remark`: why it has no effect, or ""."""

    account: str
    number: int
    conditions: str
    folder: str | None
    decided: int
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """What one rule would have done with the mails that were read.

    `matched` mails fit it, `decided` of them are left to it by the rules before it, and `agree`
    of these lie today where it would put them. `lies_in`: where the decided ones lie, most
    first. `remark`: "" or why the rule does nothing.
    """

    number: int
    conditions: str
    folder: str | None
    matched: int
    decided: int
    agree: int
    lies_in: tuple[tuple[str, int], ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RulesTested:
    """The rules of one account on `read` of its past `mails`; `unmatched` fit none of them."""

    account: str
    mails: int
    read: int
    unmatched: int
    rules: tuple[RuleTest, ...]


def rule_warnings(
    app: Application, name: str, folders: Collection[str], trash: Collection[str] = ()
) -> list[str]:
    """A sentence for each rule that cannot do what it says, because of where it sends mail;
    `folders` are those that inboxd watches."""
    remarks = ((rule, _remark(app, name, rule, folders, trash)) for rule in app.rules(name))
    return [
        f"Rule {rule.number} ({rule.names}) has no effect: {remark}."
        for rule, remark in remarks
        if remark
    ]


def _remark(
    app: Application,
    name: str,
    rule: Rule,
    folders: Collection[str],
    trash: Collection[str] = (),
) -> str:
    if rule.folder is None:
        return ""
    wanted = composed(rule.folder)
    if wanted == composed(app.account(name).folders.inbox):
        return "it files mail in the inbox, where it is; write leave = true"
    if wanted not in map(composed, folders):
        return f"there is no folder {rule.folder!r}, so such mail stays in the inbox"
    if wanted in map(composed, trash):
        return f"{rule.folder!r} is the trash, and inboxd deletes no mail"
    return ""


def list_rules(app: Application, name: str | None) -> list[RuleState]:
    """The rules of one account or of all, in their order; connects to no server."""
    found: list[RuleState] = []
    with app.store.read() as work:
        for account_name in app.names(name):
            found += _states(app, work, account_name)
    return found


def _states(app: Application, work: UnitOfWork, name: str) -> list[RuleState]:
    account = work.accounts.get(name)
    folders = [f.name for f in work.folders.of(account)] if account is not None else []
    decided: Counter[str] = Counter()
    for stored, count in (work.decisions.counts_by_rule(account) if account else {}).items():
        decided[stored.rpartition("#")[2]] += count
    return [
        RuleState(
            account=name,
            number=rule.number,
            conditions=rule.text,
            folder=rule.folder,
            decided=decided[rule.digest],
            # Before the first look at the server nobody knows which folders there are.
            remark=_remark(app, name, rule, folders) if folders else "",
        )
        for rule in app.rules(name)
    ]


def run_rules(
    app: Application,
    name: str,
    *,
    newest_per_folder: int | None = None,
    progress: Progress = lambda _stage, _done, _total: None,
    stopped: Callable[[], bool] = never,
) -> RulesTested:
    """Try the rules on the newest mails of the inbox, of the label folders and of those that a
    rule names. Only headers are fetched, nothing is stored or moved.

    Raises `NotFound` without rules, or before inboxd has looked at the account; `MailboxError`.
    """
    rules = app.rules(name)
    if not rules:
        raise NotFound(
            f"Account {name} has no rules.",
            next_step=f"Write a table [[accounts.{name}.rules]]; see docs/configuration.md.",
        )
    newest = newest_per_folder or app.settings.training.newest_per_folder
    with app.store.read() as work:
        account = work.accounts.get(name)
        if account is None or account.baseline_at is None:
            raise NotFound(
                f"inboxd has not looked at account {name} yet.",
                next_step=f"Run: inboxd learn --account {name}",
            )
        lies_in = _past_mail(work, account, rules, newest)
        folders = work.folders.of(account)
    heads = _heads(app, name, lies_in, progress, stopped)
    inbox = next((f.name for f in folders if f.role is Role.INBOX), "INBOX")
    tallies = [_Tally(rule) for rule in rules]
    unmatched = 0
    for message_id, head in heads.items():
        matching = RuleBook(rules).matching(head)
        unmatched += not matching
        for rule in matching:
            tallies[rule.number - 1].count(matching[0], lies_in[message_id])
    names = [folder.name for folder in folders]
    return RulesTested(
        account=name,
        mails=len(lies_in),
        read=len(heads),
        unmatched=unmatched,
        rules=tuple(t.result(inbox, _remark(app, name, t.rule, names)) for t in tallies),
    )


def _past_mail(
    work: UnitOfWork, account: Account, rules: Sequence[Rule], newest: int
) -> dict[int, str]:
    """Folder names by message id."""
    named = {composed(rule.folder) for rule in rules if rule.folder is not None}

    def is_wanted(folder: Folder) -> bool:
        return folder.role is not Role.NEUTRAL or composed(folder.name) in named

    return {
        placement.message_id: folder.name
        for folder in work.folders.of(account)
        if is_wanted(folder)
        for placement in work.placements.newest(folder, newest)
    }


def _heads(
    app: Application,
    name: str,
    message_ids: Collection[int],
    progress: Progress,
    stopped: Callable[[], bool],
) -> Mapping[int, Letterhead]:
    from daemon.learning.gather import fetch_read  # noqa: PLC0415 - numpy

    progress("fetch", 0, len(message_ids))
    with app.mailbox(name) as mailbox:
        return fetch_read(
            app.store,
            mailbox,
            message_ids,
            0,
            read_letterhead,
            progress=lambda done, total: progress("fetch", done, total),
            stopped=stopped,
        )


@dataclass(slots=True)
class _Tally:
    """What is counted for one rule."""

    rule: Rule
    matched: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    shadows: Counter[int] = field(default_factory=Counter)

    def count(self, first: Rule, folder: str) -> None:
        """A mail that fits this rule, lies in `folder`, and is decided on by the rule `first`."""
        self.matched += 1
        if first is self.rule:
            self.decided[folder] += 1
        else:
            self.shadows[first.number] += 1

    def result(self, inbox: str, remark: str) -> RuleTest:
        """The figures; `remark` says what is wrong with the folder."""
        target = composed(self.rule.folder if self.rule.folder is not None else inbox)
        total = self.decided.total()
        if not remark and not self.matched:
            remark = "fits none of these mails"
        if not remark and not total:
            by = ", ".join(str(number) for number, _ in self.shadows.most_common(3))
            remark = f"always preceded by rule {by}"
        return RuleTest(
            number=self.rule.number,
            conditions=self.rule.text,
            folder=self.rule.folder,
            matched=self.matched,
            decided=total,
            agree=sum(count for name, count in self.decided.items() if composed(name) == target),
            lies_in=tuple(self.decided.most_common()),
            remark=remark,
        )
