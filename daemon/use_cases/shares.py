"""What people are told about accounts that share a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.use_cases.application import Application


def share_warnings(app: Application, name: str) -> Iterator[str]:
    """A shared model that only one account names may be misspelt."""
    share = app.share(name)
    if share is not None and not share.others(name):
        yield f"No other account shares the model {share.name!r} (shared_model)."


def shared_by(app: Application, name: str) -> str:
    """The account, or the shared model with the accounts that share it, in a message."""
    share = app.share(name)
    if share is None:
        return name
    return f"{share.name} (shared by {', '.join(share.accounts)})"


def whose_mail(app: Application, name: str) -> tuple[str, ...]:
    """The accounts whose mail the account's model learns from: all that share it, or this one."""
    share = app.share(name)
    return (name,) if share is None else share.accounts


def told_whose(accounts: Sequence[str]) -> str | None:
    """The same as a sentence, None where there is nothing to say."""
    if len(accounts) < 2:
        return None
    return f"By the mail of all accounts that share the model: {', '.join(accounts)}."
