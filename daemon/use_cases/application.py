"""What every use case is given: settings, store, engine, clock, and a way to a mailbox.

The command line, the daemon and every later door (web page, local API) call the functions of
this package with one `Application`; `daemon.bootstrap` builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from classifier.costs import Costs
from daemon.config.settings import AccountSettings, HeadKind, RuleSettings, Settings
from daemon.errors import ModelError, NotFound
from daemon.learning.engine import AccountModel, Engine
from daemon.learning.refit import RefitSettings
from daemon.learning.share import Share, share_of, shared_labels
from daemon.learning.shared import account_models
from daemon.locks import account_lock, show_progress
from daemon.mailbox.port import Mailbox
from daemon.meter import Meter, NoMeter
from daemon.patterns import compile_pattern
from daemon.sign_in.keeper import TokenKeeper, open_keeper
from daemon.sorting.bursts import BurstLimits
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.rules import Condition, Rule
from daemon.store import Store
from daemon.store.tables import Folder
from trainer.steps import ClassicSettings, DeepSettings
from trainer.tensorboard import INSTALL, is_available

Connect = Callable[[str, AccountSettings], Mailbox]


def never() -> bool:
    """For callers that cannot be stopped half-way."""
    return False


def _conditions(rule: RuleSettings) -> Iterator[Condition]:
    given = {
        "sender": rule.sender,
        "domain": rule.domain,
        "list": rule.list,
        "subject": rule.subject,
        **{f"header {name}": pattern for name, pattern in rule.header.items()},
    }
    for name, pattern in given.items():
        if pattern is not None:
            yield Condition(name, compile_pattern(pattern))


@dataclass(frozen=True, slots=True)
class Application:
    """The wired program."""

    settings: Settings
    config_path: Path | None
    store: Store
    engine: Engine
    clock: Callable[[], datetime]
    connect: Connect
    on_wait: Callable[[], None] = field(default=lambda: None)
    """Called once when another process is at work on the account."""
    meter: Meter = field(default_factory=NoMeter)
    """Is told how long things took."""

    @property
    def state_dir(self) -> Path:
        """Directory of database, models and caches."""
        return self.settings.state.dir

    def account(self, name: str) -> AccountSettings:
        """The configured account. Raises `NotFound`."""
        try:
            return self.settings.accounts[name]
        except KeyError:
            known = ", ".join(sorted(self.settings.accounts))
            raise NotFound(
                f"There is no account {name!r} in the configuration.",
                next_step=f"Configured accounts: {known}.",
            ) from None

    def names(self, chosen: str | None) -> list[str]:
        """The chosen account, or all of them."""
        if chosen is None:
            return list(self.settings.accounts)
        self.account(chosen)
        return [chosen]

    def share(self, name: str) -> Share | None:
        """The accounts that share a model with this one, None when it has its own."""
        return share_of(self.settings, name)

    def models(self, name: str) -> AccountModel:
        """The models that decide about an account's mail, its own or shared ones."""
        return account_models(self.engine, self.store, name, self.share(name))

    def owner(self, name: str) -> str:
        """To whom these models belong in the database: the account, or what it shares."""
        share = self.share(name)
        return name if share is None else share.owner

    def labels(self, name: str, folders: Iterable[Folder]) -> dict[int, str]:
        """What these models, and the reports on them, call the label folders of the account, by id;
        `folders` are all that it has."""
        if self.share(name) is None:
            return {folder.id: str(folder.id) for folder in folders}
        return shared_labels(name, folders)

    def patterns(self, name: str) -> FolderPatterns:
        """Folder roles of an account."""
        folders = self.account(name).folders
        return FolderPatterns(folders.inbox, folders.labels, folders.neutral)

    def rules(self, name: str) -> tuple[Rule, ...]:
        """The rules of an account in their order."""
        return tuple(
            Rule(number, tuple(_conditions(rule)), rule.folder)
            for number, rule in enumerate(self.account(name).rules, start=1)
        )

    def burst_limits(self) -> BurstLimits:
        """From when on lessons wait for confirmation."""
        training = self.settings.training
        return BurstLimits(training.hold_moves_per_hour, training.hold_folder_share)

    def refit_settings(self, name: str) -> RefitSettings:
        """How an account's examples become a model."""
        model, training = self.settings.model, self.settings.training
        return RefitSettings(
            max_bytes=self.account(name).max_message_kb * 1024,
            min_per_folder=training.min_examples_per_folder,
            max_examples=training.max_examples,
            ridge=model.ridge_lambda,
            blocks=model.blocks.model_dump(),
            target_precision=model.target_precision,
            keep_models=model.keep_models,
            descriptions=self.account(name).folders.descriptions,
            costs=self.costs,
            classic=self._classic(),
            curve_log=self.curve_log(name),
            share=self.share(name),
            keep_mb=training.keep_fit_mb,
        )

    def _classic(self) -> ClassicSettings | None:
        """How the classic head learns, None when the configuration wants the ridge head."""
        if self.settings.model.head is not HeadKind.CLASSIC:
            return None
        return ClassicSettings(**self.settings.classic_head.model_dump())

    def curve_log(self, name: str) -> Path | None:
        """Where TensorBoard looks for an account's curves, None when it is not wanted.

        Raises `ModelError` when it is wanted and not installed.
        """
        if not self.settings.training.tensorboard:
            return None
        if not is_available():
            raise ModelError(
                "[training] tensorboard is on, but TensorBoard is not installed.",
                next_step=f"Run: {INSTALL}",
            )
        return self.state_dir / "tensorboard" / name

    def deep_settings(self) -> DeepSettings:
        """How the encoder is tuned."""
        values = self.settings.deep_tuning
        return DeepSettings(
            rank=values.rank,
            layers=values.layers,
            dropout=values.dropout,
            learning_rate=values.learning_rate,
            weight_decay=values.weight_decay,
            warm_up=values.warm_up,
            epochs=values.epochs,
            patience=values.patience,
            looks_per_epoch=values.looks_per_epoch,
            batch_size=values.batch_size,
            max_tokens=min(values.max_tokens, self.engine.settings.max_tokens),
            balance=values.balance,
            seed=values.seed,
            seconds=60.0 * values.max_minutes,
        )

    @property
    def costs(self) -> Costs:
        """What mistakes cost, by folder name."""
        return Costs.from_lines(self.settings.model.costs)

    def keeper(self, name: str) -> TokenKeeper:
        """The tokens of an account that signs in with OAuth 2. Errors as in `open_keeper`."""
        return open_keeper(name, self.account(name), self.state_dir, self.clock)

    @contextmanager
    def mailbox(self, name: str) -> Iterator[Mailbox]:
        """A logged-in connection, closed afterwards. Raises `MailboxError`, `SecretMissing`,
        and `ExtraMissing` for a way of signing in whose packages are not installed."""
        mailbox = self.connect(name, self.account(name))
        try:
            yield mailbox
        finally:
            mailbox.close()

    @contextmanager
    def locked(
        self, name: str, *, at_each_try: Callable[[], object] = lambda: None
    ) -> Iterator[None]:
        """Exclude every other process from this account; waits for its turn, and calls
        `at_each_try` several times a second while it does."""
        with account_lock(self.state_dir, name, on_wait=self.on_wait, at_each_try=at_each_try):
            yield

    def showing_progress(self, name: str, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """`stopped`, for a long piece of work on the account that asks it between its steps.

        Each time it is asked, a step has been taken: other processes can see that
        (`daemon.locks.last_progress`), so that long work does not pass for a hanging one.
        """

        def asked() -> bool:
            show_progress(self.state_dir, name, self.clock())
            return stopped()

        return asked
