"""What has to be tidied once a night."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from daemon.errors import ModelError
from daemon.learning.deep.directory import RunDirectory
from daemon.learning.engine import AccountEncoder, AccountModel
from daemon.use_cases.application import Application

OUTDATED = "The details were deleted after [state] keep_decisions_days."
"""The reason of a decision of which nothing else is left."""


def keep_house(app: Application, name: str) -> None:
    """Drop features of former encoders, details of old decisions, contacts that are no longer
    wanted, models beyond the kept ones, and what a deep fine-tune left that was given up."""
    models = app.models(name)
    needed = {encoder.fingerprint for encoder in _encoders_in_use(models)}
    with app.store.write() as work:
        account = work.accounts.get(name)
        if account is not None:
            work.features.drop_other(account, *needed)
            if not app.account(name).keep_contacts:
                work.contacts.forget(account)
            if days := app.settings.state.keep_decisions_days:
                limit = app.clock() - timedelta(days=days)
                work.decisions.strip_older(account, limit, OUTDATED)
        work.commit()
    with models.locked():
        models.prune(keep=app.settings.model.keep_models)
    RunDirectory(app.state_dir, name).remove_if_old()


def _encoders_in_use(models: AccountModel) -> Iterator[AccountEncoder]:
    """That of the model in use, that of the model before it (so that going back costs nothing),
    and the one that is about to be used."""
    yield models.encoder()
    pending = models.tuned.pending()
    former = models.registry.former()
    for adapter in (
        pending[0] if pending else None,
        models.adapter_of(former) if former is not None else None,
    ):
        with suppress(ModelError):  # damaged: nothing to keep features for
            yield models.encoder_of(adapter)
