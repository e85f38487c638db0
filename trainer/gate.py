"""Whether a newly trained model may replace the current one.

Both models are asked about the same recent mail, each only about mail that it had not learnt
from: a mail of its own training set is judged by its leave-one-out prediction, any other by a
plain one. The candidate is turned away when it

- is significantly worse at naming the folder, or moves significantly more mail wrongly. Whoever
  moves more will move more wrongly, so wrong moves are forgiven where `WORTH` times as many right
  ones come with them, or where the precision that was asked for is kept;
- breaks a folder that sorts by itself today (`Rule.FOLDER`);
- flips many verdicts and gains nothing by it (`Rule.CHURN`). A verdict that flips to the truth
  is no harm: whoever files mail anew wants just that. As long as more flip to it than away from
  it, the others are what learning costs: in a young mailbox each re-fit changes many.

The last two would keep a stale model for ever where the mail itself has changed, so they give
way when the candidate is significantly better, and after `PATIENCE` candidates in a row.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from classifier.decision import FolderThreshold, is_enough
from classifier.model import MailClassifier
from trainer.examples import Example, in_time_order, parent_labels
from trainer.metrics import bootstrap_means
from trainer.report import HeldOut, said_unseen

Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

RECENT = 200
"""How many of the newest mails accuracy is compared on."""
LONGER = 500
"""How many of the newest mails are looked at for broken folders and for churn."""
FEWEST = 20
"""With fewer mails to compare on nothing can be significant."""
CONFIDENCE = 0.95
CLEAR_FALL = 0.1
"""Precision or recall of a folder has to fall by more than this to be called broken."""
MOST_CHURN = 0.1
"""Largest share of verdicts that may flip other than to the truth without paying for it."""
WORTH = 10
"""As many right moves more make up for one wrong move more: a mail in the wrong folder is worse
than ten left in the inbox."""
_ROUNDING = 1e-9
"""Shares are floats: what is exactly enough is enough."""
PATIENCE = 3
"""After so many candidates turned away in a row for folders or churn, the next one passes."""


class Rule(enum.StrEnum):
    """What turned a candidate away."""

    ACCURACY = "accuracy"
    WRONG_MOVES = "wrong-moves"
    FOLDER = "folder"
    CHURN = "churn"


PATIENT_RULES = frozenset({Rule.FOLDER, Rule.CHURN})
"""The rules that give way in the end."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model and its leave-one-out predictions of its own training mail, by example key."""

    model: MailClassifier
    held_out: Mapping[str, HeldOut]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision, in one sentence and in figures (JSON values)."""

    promote: bool
    reason: str
    figures: Mapping[str, Any]
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class _Mails:
    """The recent mails, oldest first: where people put them, and what both models say."""

    truth: Sequence[str]
    ours: Sequence[HeldOut]
    theirs: Sequence[HeldOut]

    def newest(self, size: int) -> _Mails:
        return _Mails(self.truth[-size:], self.ours[-size:], self.theirs[-size:])


def judge(
    candidate: Contender,
    current: Contender | None,
    examples: Sequence[Example],
    turned_away: int = 0,
) -> Verdict:
    """Compare on the newest mails of `examples` (everything that is known, any order).

    `turned_away`: how many candidates in a row `PATIENT_RULES` have turned away before.
    """
    if current is None:
        return Verdict(True, "This is the first model.", {"compared": 0})
    ordered = in_time_order(examples)
    parents = parent_labels(ordered)
    recent = [pair for pair in zip(ordered, parents, strict=True) if pair[0].is_mail][-LONGER:]
    truth = [one.label for one, _ in recent]
    mails = _Mails(truth, _says(candidate, recent), _says(current, recent))
    names = dict(zip(candidate.model.label_set.keys, candidate.model.label_set.names, strict=True))
    figures = {
        **_figures(candidate, current, mails.newest(RECENT)),
        **_churn(mails),
        "broken_folders": [
            {**fall, "folder": names.get(fall["label"], fall["label"])}
            for fall in _broken(mails, current.model.thresholds)
        ],
        "turned_away_before": turned_away,
    }
    return _verdict(figures)


def _says(contender: Contender, recent: Sequence[tuple[Example, str | None]]) -> list[HeldOut]:
    """What the model says about each mail, unseen."""
    unseen = [pair for pair in recent if pair[0].key not in contender.held_out]
    plain = said_unseen(contender.model, [(one.features, parent) for one, parent in unseen])
    found = {
        **contender.held_out,
        **{one.key: said for (one, _), said in zip(unseen, plain, strict=True)},
    }
    return [found[one.key] for one, _ in recent]


def _figures(candidate: Contender, current: Contender, mails: _Mails) -> dict[str, Any]:
    """Shares of right, of rightly and of wrongly moved mail of both, with intervals of the
    differences that may turn a candidate away."""
    truth = mails.truth
    right = [_right(says, truth) for says in (mails.ours, mails.theirs)]
    moved = [
        _moved(says, one.model.thresholds)
        for says, one in ((mails.ours, candidate), (mails.theirs, current))
    ]
    wrong = [moves * (1.0 - hits) for moves, hits in zip(moved, right, strict=True)]
    well = [moves * hits for moves, hits in zip(moved, right, strict=True)]
    compared = max(len(truth), 1)
    return {
        "compared": len(truth),
        "right": float(right[0].sum()) / compared,
        "right_before": float(right[1].sum()) / compared,
        "right_change": _interval(right[0] - right[1]),
        "wrongly_moved": float(wrong[0].sum()) / compared,
        "wrongly_moved_before": float(wrong[1].sum()) / compared,
        "wrongly_moved_change": _interval(wrong[0] - wrong[1]),
        "rightly_moved": float(well[0].sum()) / compared,
        "rightly_moved_before": float(well[1].sum()) / compared,
        "target_precision": candidate.model.config.training.get("target_precision"),
    }


def _churn(mails: _Mails) -> dict[str, Any]:
    """Which verdicts flip, of the last `LONGER`, and which way."""
    flips = [
        (now.label, before.label, label)
        for now, before, label in zip(mails.ours, mails.theirs, mails.truth, strict=True)
        if now.label != before.label
    ]
    looked_at = max(len(mails.truth), 1)
    to_truth = sum(now == label for now, _, label in flips)
    from_truth = sum(before == label for _, before, label in flips)
    return {
        "churn_of": len(mails.truth),
        "churn": len(flips) / looked_at,
        "churn_to_truth": to_truth / looked_at,
        "churn_from_truth": from_truth / looked_at,
        "churn_else": (len(flips) - to_truth) / looked_at,
    }


def _broken(mails: _Mails, before: Mapping[str, FolderThreshold]) -> list[dict[str, Any]]:
    """Folders that sort by themselves today, and whose recall or precision falls clearly.

    Two conditions, because most folders have few mails: the fall is large, and more mails
    change for the worse than for the better by more than chance (exact McNemar test, 1947;
    Bonferroni over all that is tested).
    """
    working = [label for label, limit in before.items() if limit.threshold is not None]
    level = (1.0 - CONFIDENCE) / max(2 * len(working), 1)
    truth = np.array(mails.truth)
    ours = np.array([one.label for one in mails.ours])
    theirs = np.array([one.label for one in mails.theirs])
    falls = []
    for label in working:
        said = (ours == label, theirs == label)
        here = truth == label
        recall = _share(said[0], here), _share(said[1], here)
        precision = _share(here, said[0]), _share(here, said[1])
        lost = _is_worse((here & ~said[0]), (here & ~said[1]), level)
        strange = _is_worse((said[0] & ~here), (said[1] & ~here), level)
        for figure, (now, then), worse in (
            ("recall", recall, lost),
            ("precision", precision, strange),
        ):
            if worse and then - now > CLEAR_FALL:
                falls.append({"label": label, "figure": figure, "now": now, "before": then})
    return sorted(falls, key=lambda fall: fall["now"] - fall["before"])  # the worst first


def _share(flags: Booleans, of: Booleans) -> float:
    """The share of `of` that `flags` holds; 1 of nothing."""
    return float((flags & of).sum() / of.sum()) if of.any() else 1.0


def _is_worse(errors: Booleans, errors_before: Booleans, level: float) -> bool:
    """Whether there are more errors by more than chance, mail by mail."""
    new, healed = int((errors & ~errors_before).sum()), int((errors_before & ~errors).sum())
    return bool(new and stats.binom.sf(new - 1, new + healed, 0.5) < level)


def _verdict(figures: Mapping[str, Any]) -> Verdict:
    compared = figures["compared"]
    shares = f"{figures['right']:.1%} right, before {figures['right_before']:.1%}"
    if compared < FEWEST:
        reason = f"Only {compared} recent mails to compare on: too few to turn a model away."
        return Verdict(True, reason, figures)
    if figures["right_change"][1] < 0:
        reason = f"Turned away: worse on the last {compared} mails ({shares})."
        return Verdict(False, reason, figures, Rule.ACCURACY)
    moves_worse = figures["wrongly_moved_change"][0] > 0
    moves = (
        f"{figures['wrongly_moved']:.1%} of the last {compared} mails wrongly, before "
        f"{figures['wrongly_moved_before']:.1%}, and {figures['rightly_moved']:.1%} "
        f"rightly, before {figures['rightly_moved_before']:.1%}"
    )
    if moves_worse and not _is_forgiven(figures):
        reason = f"Turned away: would move {moves}."
        return Verdict(False, reason, figures, Rule.WRONG_MOVES)
    is_better = figures["right_change"][0] > 0
    standing = "Better" if is_better else "Not worse"
    passed = f"{standing} on the last {compared} mails ({shares}); {_churn_in_words(figures)}."
    if moves_worse:
        passed = f"{passed} Moves {moves}."
    objection = _objection(figures)
    if objection is None or is_better:
        return Verdict(True, passed, figures)
    rule, reason = objection
    if figures["turned_away_before"] >= PATIENCE:
        given_way = f"{passed} {PATIENCE} models were turned away before it: not once more."
        return Verdict(True, given_way, figures)
    return Verdict(False, f"Turned away: {reason}", figures, rule)


def _is_forgiven(figures: Mapping[str, Any]) -> bool:
    """Whether more wrong moves are what moving more costs, or what was asked for."""
    right, wrong = figures["rightly_moved"], figures["wrongly_moved"]
    gained, lost = right - figures["rightly_moved_before"], wrong - figures["wrongly_moved_before"]
    target = figures["target_precision"]
    pays = gained >= WORTH * lost - _ROUNDING
    keeps = target is not None and right >= target * (right + wrong) - _ROUNDING
    return bool(pays or keeps)


def _objection(figures: Mapping[str, Any]) -> tuple[Rule, str] | None:
    """What speaks against a candidate that is not worse, with the reason."""
    if figures["broken_folders"]:
        fall = figures["broken_folders"][0]
        return Rule.FOLDER, (
            f"{fall['folder']} works today and would get worse ({fall['figure']} "
            f"{fall['now']:.1%}, before {fall['before']:.1%})."
        )
    paid = figures["churn_to_truth"] > figures["churn_from_truth"]
    if figures["churn_else"] > MOST_CHURN and not paid:
        return Rule.CHURN, f"{_churn_in_words(figures)}, and as many or more away from it."
    return None


def _churn_in_words(figures: Mapping[str, Any]) -> str:
    if not figures["churn"]:
        return "no verdict changes"
    return (
        f"{figures['churn']:.1%} of the last {figures['churn_of']} verdicts change, "
        f"{figures['churn_to_truth']:.1%} to the right folder"
    )


def _right(says: Sequence[HeldOut], truth: Sequence[str]) -> Doubles:
    return np.array([float(one.label == label) for one, label in zip(says, truth, strict=True)])


def _moved(says: Sequence[HeldOut], limits: Mapping[str, FolderThreshold]) -> Doubles:
    return np.array(
        [float(is_enough(one.label, one.probability, limits)) for one in says], dtype=np.float64
    )


def _interval(differences: Doubles) -> tuple[float, float]:
    """One-sided bounds of the mean paired difference, each at `CONFIDENCE` (bootstrap)."""
    means = bootstrap_means(differences)
    low, high = np.quantile(means, [1.0 - CONFIDENCE, CONFIDENCE])
    return float(low), float(high)
