"""The models of an account: list, show, go back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from classifier.registry import RegistryError
from daemon.errors import NotFound
from daemon.store.tables import ModelRow, ModelState
from daemon.use_cases.application import Application
from trainer.meaning import Confusion, Meaning, confusions, costs_in_words, meanings


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One trained model. `state`: "current", "kept" (may be gone back to), "rejected" by the
    gate, or "removed" (no longer on disk). Of a shared one: its name and the accounts that share it
    now, of which `account` is one."""

    account: str
    version: str
    state: str
    created_at: datetime
    examples: int
    accuracy: float | None
    reason: str
    shared_model: str | None = None
    shared_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """A model with everything that was measured when it was trained.

    `measured`: the main figures with what they mean, of each of the last mails as predicted
    from the mails before it. `confusions`: the mistakes among them, most costly first. `costs`:
    those configured, in words. All three are empty where nothing could be measured.
    """

    summary: ModelSummary
    directory: str
    report: dict[str, Any]
    measured: tuple[Meaning, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    costs: tuple[str, ...] = ()


def list_models(app: Application, name: str | None) -> list[ModelSummary]:
    """All trained models, newest first."""
    found: list[ModelSummary] = []
    # Of the accounts that share a model, one is enough to look at.
    by_owner = {app.owner(each): each for each in reversed(app.names(name))}
    with app.store.read() as work:
        for owner, account_name in by_owner.items():
            account = work.accounts.get(owner)
            if account is not None:
                found += [_summary(app, account_name, row) for row in work.models.of(account)]
    return sorted(found, key=lambda model: model.created_at, reverse=True)


def show_model(app: Application, name: str, version: str | None) -> ModelDetails:
    """One model, by default the current one. Raises `NotFound`."""
    model = app.models(name)
    wanted = version or model.current()
    if wanted is None:
        raise NotFound(f"Account {name} has no model yet.", next_step="Run: inboxd learn")
    with app.store.read() as work:
        account = work.accounts.get(app.owner(name))
        row = work.models.get(account, wanted) if account is not None else None
        if row is None:
            raise NotFound(
                f"Account {name} has no model {wanted}.", next_step="Run: inboxd models list"
            )
        return _details(_summary(app, name, row), str(model.registry.path(wanted)), row.report)


def _details(summary: ModelSummary, directory: str, report: dict[str, Any]) -> ModelDetails:
    names = report["label_names"]
    recent = report.get("recent") or report.get("evaluation")
    if not recent:
        return ModelDetails(summary, directory, dict(report))
    return ModelDetails(
        summary,
        directory,
        dict(report),
        tuple(meanings(recent)),
        tuple(confusions(recent, names)),
        tuple(costs_in_words(recent, names)),
    )


def roll_back(app: Application, name: str) -> str:
    """Go back to the model that was in use before, for all accounts that share it; returns its
    version. Raises `NotFound`."""
    with app.locked(name), app.models(name).locked():
        try:
            return app.models(name).registry.roll_back()
        except RegistryError as error:
            raise NotFound(
                f"Account {name}: {error}.", next_step="Run: inboxd models list"
            ) from error


def _summary(app: Application, name: str, row: ModelRow) -> ModelSummary:
    models = app.models(name)
    on_disk = {version.version for version in models.registry.versions()}
    share = app.share(name)
    return ModelSummary(
        account=name,
        version=row.version,
        state=_state(row, models.current(), on_disk),
        created_at=row.created_at,
        examples=row.examples,
        accuracy=row.report.get("accuracy"),
        reason=row.reason,
        shared_model=share.name if share is not None else None,
        shared_by=share.accounts if share is not None else (),
    )


def _state(row: ModelRow, current: str | None, on_disk: set[str]) -> str:
    if row.version == current:
        return "current"
    if row.state is ModelState.REJECTED:
        return "rejected"
    return "kept" if row.version in on_disk else "removed"
