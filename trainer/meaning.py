"""What the figures of a report mean for the person whose mail it is, in plain sentences.

Works on the JSON form of `trainer.scores.Report`, as models keep it; figures that a report of
an earlier version does not have are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classifier.costs import Costs


@dataclass(frozen=True, slots=True)
class Meaning:
    """One figure as people read it, with its 95 % interval where there is one."""

    name: str
    value: str
    interval: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """`mails` that belong to `true` and were taken for `predicted`; `cost` of each if moved."""

    true: str
    predicted: str
    mails: int
    cost: float


def meanings(report: Mapping[str, Any]) -> list[Meaning]:
    """Every figure of the whole report, most important first."""
    mails = report["mails"]
    found = [
        _figure("accuracy", report["accuracy"], f"of {mails} mails so many had the right folder "
                "in first place"),
        _figure("moved by itself", report["coverage"], "of your mail would have been sorted "
                "without you"),
        _figure("right when moved", report["moved_precision"], "of the moved mails would lie "
                "where you want them"),
        _cost(report),
        _figure("macro F1", report["macro_f1"], "the same weight for every folder: low when "
                "small folders go wrong"),
        Meaning("weighted F1", _percent(report["weighted_f1"]), "", "every folder weighs as "
                "much as it has mail"),
        _area(report),
        Meaning("calibration error", f"{report['ece']:.3f}", "", "how far the stated "
                f"probabilities are off: 90 % means 90 % give or take {report['ece'] * 100:.0f}"),
    ]  # fmt: skip
    return [each for each in found if each is not None]


def confusions(report: Mapping[str, Any], names: Mapping[str, str]) -> list[Confusion]:
    """Everything off the diagonal of the confusion matrix, most mails first."""
    labels = report["labels"]
    costs = Costs.from_json(report.get("costs", ()))
    found = [
        Confusion(names.get(true, true), names.get(said, said), count, costs.of(true, said))
        for true, row in zip(labels, report["confusion"], strict=True)
        for said, count in zip(labels, row, strict=True)
        if count and true != said
    ]
    return sorted(found, key=lambda one: (-one.mails * one.cost, one.true, one.predicted))


def costs_in_words(report: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """A sentence for each configured cost."""
    return [
        f"A mail of {_any(true, names, 'any other folder')} filed under "
        f"{_any(filed, names, 'any wrong folder')} costs as much as {cost:g} left in the inbox."
        for true, filed, cost in report.get("costs", ())
    ]


def _any(label: str, names: Mapping[str, str], whatever: str) -> str:
    return whatever if label == "*" else names.get(label, label)


def _cost(report: Mapping[str, Any]) -> Meaning | None:
    if "cost" not in report:
        return None
    each = report["cost_per_mail"]
    return Meaning(
        "cost",
        f"{report['cost']:g}",
        f"{each['low'] * report['mails']:.0f} – {each['high'] * report['mails']:.0f}",
        f"in mails left in the inbox: {report['left']} left, {report['wrong_moves']} moved wrongly",
    )


def _area(report: Mapping[str, Any]) -> Meaning | None:
    area = report["roc_auc"]
    if area is None:
        return None
    return Meaning(
        "ROC AUC",
        f"{area:.3f}",
        "",
        "how often a folder's own mail scores higher there than other mail; 0.5 is chance",
    )


def _figure(name: str, figure: Mapping[str, float] | None, sentence: str) -> Meaning | None:
    if figure is None:
        return None
    interval = f"{figure['low'] * 100:.0f} – {figure['high'] * 100:.0f} %"
    return Meaning(name, _percent(figure["value"]), interval, sentence)


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"
