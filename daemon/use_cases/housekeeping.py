"""What has to be tidied once a night."""

from __future__ import annotations

from daemon.use_cases.application import Application


def keep_house(app: Application, name: str) -> None:
    """Drop features of former encoders and models beyond the ones that are kept."""
    fingerprint = app.engine.featurizer().fingerprint
    with app.store.write() as work:
        account = work.accounts.get(name)
        if account is not None:
            work.features.drop_other(account, fingerprint)
        work.commit()
    app.engine.account(name).registry.prune(keep=app.settings.model.keep_models)
