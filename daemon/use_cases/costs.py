"""Whether the costs in the configuration speak of folders that there are."""

from __future__ import annotations

from collections.abc import Collection

from classifier.costs import ANY
from daemon.use_cases.application import Application


def cost_warnings(app: Application, name: str, labels: Collection[str]) -> list[str]:
    """A sentence for each line of [model.costs] that has no effect in this account because of a
    folder that is missing from `labels`, its label folders.

    The lines are shared by all accounts, so one of which no folder is there belongs to another
    account, unless there is only this one.
    """
    alone = len(app.settings.accounts) == 1
    inbox = app.account(name).folders.inbox
    warnings = []
    for true, filed in app.costs.by_confusion:
        line = f'[model.costs] "{true} -> {filed}"'
        if filed == inbox:
            warnings.append(f"{line} has no effect: mail is never moved to the inbox.")
            continue
        there = [each for each in (true, filed) if each in labels]
        lost = [each for each in (true, filed) if each not in {*labels, inbox, ANY}]
        if lost and (there or alone):
            names = " and ".join(f"{each!r}" for each in lost)
            warnings.append(f"{line} has no effect: no label folder {names}.")
    return warnings
