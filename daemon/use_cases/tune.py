"""Looking for better hyperparameters on an account's own mail, and saying what they bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from classifier.space import BlockWeights
from daemon.config.settings import BlockSettings, Settings
from daemon.config.toml import toml_value
from daemon.errors import ExtraMissing, ModelError, NotFound
from daemon.learning.gather import ignore
from daemon.locks import account_lock
from daemon.use_cases.application import Application
from daemon.use_cases.compare import KnownMail, against_each_other, known_mail, learnable, learner
from daemon.use_cases.shares import whose_mail
from trainer.compare import Comparison
from trainer.errors import ModelNotTrainable
from trainer.examples import TimeSplit

if TYPE_CHECKING:
    from trainer.search import Search

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
PRESENT, BEST = "the present settings", "the best settings found"


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """λ, the weights of the blocks, and how good they are on the validation mail: log loss of
    the calibrated probabilities (lower is better) and share of right folders."""

    ridge_lambda: float
    blocks: Mapping[str, float]
    log_loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The outcome for one account. `trials` are all that the study has finished, `new` those of
    this call. `test` compares the best with the present settings on mail that the search never
    saw; `toml` is what to put into the configuration; `mail_of`: the accounts whose mail it was."""

    account: str
    study: str
    trials: int
    new: int
    validation_mails: int
    present: Hyperparameters
    best: Hyperparameters
    test: Comparison
    advice: str
    toml: str
    mail_of: tuple[str, ...] = ()


def tune(app: Application, name: str, trials: int, *, progress: Progress = ignore) -> Tuned:
    """Make `trials` more trials, then test the best of all on the newest mail.

    Changes nothing but the study's file in the state directory. May be killed at any time: a
    later call goes on. Raises `ExtraMissing`, `NotFound` (nothing read yet), `ModelError` (too
    little mail).
    """
    run = _search_function()
    mail = known_mail(app, name)
    split = mail.split()
    how = app.refit_settings(name)
    part = learnable(split, how.min_per_folder, how.max_examples)
    database = study_file(app.state_dir, name)
    with account_lock(app.state_dir, f"tune-{name}", on_wait=app.on_wait):
        try:
            found = run(part, how.ridge, how.blocks, trials, database, progress)
        except ModelNotTrainable as error:
            raise ModelError(
                error.reason, next_step="File more mail into folders, then run: inboxd learn"
            ) from error
    log.info("tune.done", account=name, trials=found.trials, new=found.new)
    return _tested(app, mail, found, database)


def study_file(state_dir: Path, name: str) -> Path:
    """Where the study of an account is kept: parameters and figures, nothing of any mail."""
    return state_dir / "tuning" / f"{name}.sqlite3"


def write_toml(path: Path, text: str) -> None:
    """Write the lines to a file. Raises `NotFound` when that is not possible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotFound(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Name a file in a directory of yours with --output.",
        ) from error


_Run = Callable[
    [TimeSplit, float, Mapping[str, float], int, Path, Progress],
    "Search",
]


def _search_function() -> _Run:
    """The search, if Optuna is installed. Raises `ExtraMissing`."""
    try:
        from trainer.search import Point, search  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "optuna":
            raise
        raise ExtraMissing("inboxd tune", "tune") from error
    return lambda part, ridge, blocks, trials, database, progress: search(
        part,
        Point(ridge, BlockWeights(**blocks)),
        trials=trials,
        database=database,
        progress=progress,
    )


def _tested(app: Application, mail: KnownMail, found: Search, database: Path) -> Tuned:
    best = _with(app.settings, found.best.ridge_lambda, asdict(found.best.blocks))
    present = app.settings.model
    test = against_each_other(
        mail.split(),
        learner(app, mail.account, app.settings, mail),
        learner(app, mail.account, best, mail),
        (PRESENT, BEST),
    )
    return Tuned(
        account=mail.account,
        study=str(database),
        trials=found.trials,
        new=found.new,
        validation_mails=test.calibrate,
        present=Hyperparameters(
            present.ridge_lambda,
            present.blocks.model_dump(),
            **asdict(found.present_validation),
        ),
        best=Hyperparameters(
            best.model.ridge_lambda, best.model.blocks.model_dump(), **asdict(found.best_validation)
        ),
        test=test,
        advice=_advice(test),
        toml=_toml(best),
        mail_of=whose_mail(app, mail.account),
    )


def _with(settings: Settings, ridge: float, blocks: Mapping[str, float]) -> Settings:
    model = settings.model.model_copy(
        update={"ridge_lambda": ridge, "blocks": BlockSettings(**blocks)}
    )
    return settings.model_copy(update={"model": model})


def _advice(test: Comparison) -> str:
    """Whether to take the best settings, by the test mail alone."""
    wrong = test.differences["manual_moves_forced"]
    if wrong.high is not None and wrong.high < 0:
        return "Take them: put these lines into the configuration, then run: inboxd train"
    if wrong.low is not None and wrong.low > 0:
        return "Keep the present settings: those found fit the validation mail only."
    return "Keep the present settings, unless more trials or more mail show a difference."


def _toml(settings: Settings) -> str:
    lines = ["[model]", f"ridge_lambda = {toml_value(settings.model.ridge_lambda)}", ""]
    lines += ["[model.blocks]"]
    lines += [f"{k} = {toml_value(v)}" for k, v in settings.model.blocks.model_dump().items()]
    return "\n".join(lines) + "\n"
