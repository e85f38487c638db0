"""Which examples can be trusted: a verdict with reasons per example, per folder, as a whole.

Works on features alone: no text is needed, so none has to be kept. What is looked at:

| flaw | of | grade |
|---|---|---|
| the same text lies under another label too | example | bad if the rest of the mail agrees with the other label, else suspect |
| reads like mail of another label (`trainer.mislabels`) | example | bad if clear and the mail was only found there, else suspect |
| old, and today's mail of this kind goes elsewhere | example | suspect |
| exactly the same mail again | example | suspect |
| nearly the same text again | example | still good |
| too few, too old, mostly copies, one-sided, far smaller than others, many mislabels | folder | suspect or bad |
"""  # noqa: E501 - a table

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from classifier.features import Block
from classifier.labels import LEAVE
from trainer.carriers import carriers
from trainer.examples import Example, Source, in_time_order, near_duplicates
from trainer.mislabels import Opinion, disputed_groups, opinions
from trainer.verdicts import (
    IMPORTED,
    RELABELLED,
    ExampleVerdict,
    Flaw,
    FolderVerdict,
    Grade,
    QualityReport,
    QualitySettings,
    Reason,
    worst,
)

__all__ = [
    "IMPORTED",
    "RELABELLED",
    "ExampleVerdict",
    "Flaw",
    "FolderVerdict",
    "Grade",
    "QualityReport",
    "QualitySettings",
    "Reason",
    "is_bad_label",
    "judge",
]

_FOUND = frozenset({Source.FOLDER, IMPORTED})
"""Sources behind which there is no single decision of the person."""


def judge(
    examples: Iterable[Example],
    names: Mapping[str, str],
    now: datetime,
    settings: QualitySettings | None = None,
) -> QualityReport:
    """Judge a set of examples (any order; descriptions are left out).

    `names` gives labels the names that sentences use.
    """
    chosen = settings or QualitySettings()
    evidence = _Evidence.gather([one for one in examples if one.is_mail], names, now, chosen)
    verdicts = tuple(_example(evidence, at) for at in range(len(evidence.examples)))
    labels = sorted(evidence.sizes, key=lambda label: names.get(label, label))
    folders = tuple(_folder(evidence, label, verdicts) for label in labels)
    reasons = _overall(folders, names)
    judged = [o for o in evidence.opinions if o is not None]
    sizes = [folder.examples for folder in folders if folder.label != LEAVE]
    wrong = sum(
        _is_off_diagonal(opinion, one.label)
        for one, opinion in zip(evidence.examples, evidence.opinions, strict=True)
    )
    return QualityReport(
        examples=verdicts,
        folders=folders,
        grade=worst(reasons),
        reasons=reasons,
        imbalance=max(sizes) / min(sizes) if sizes else 1.0,
        mislabels=wrong / len(judged) if judged else 0.0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """Everything that verdicts are drawn from; lists run along `examples` (time order)."""

    examples: list[Example]
    names: Mapping[str, str]
    now: datetime
    settings: QualitySettings
    groups: list[int]
    members: Mapping[int, list[int]]
    disputed: set[int]
    opinions: list[Opinion | None]
    sizes: Counter[str]
    carriers: Mapping[str, tuple[Block, float]]

    @classmethod
    def gather(
        cls,
        examples: Sequence[Example],
        names: Mapping[str, str],
        now: datetime,
        settings: QualitySettings,
    ) -> _Evidence:
        ordered = in_time_order(examples)
        groups = near_duplicates(ordered)
        members: dict[int, list[int]] = {}
        for at, group in enumerate(groups):
            members.setdefault(group, []).append(at)
        return cls(
            examples=ordered,
            names=names,
            now=now,
            settings=settings,
            groups=groups,
            members=members,
            disputed=disputed_groups(ordered, groups),
            opinions=opinions(ordered, groups, settings.ridge_lambda) if ordered else [],
            sizes=Counter(one.label for one in ordered),
            carriers=carriers(
                _distinct(ordered, groups),
                share=settings.one_sided,
                elsewhere=settings.elsewhere,
                at_least=settings.one_sided_from,
            ),
        )

    def name(self, label: str) -> str:
        return self.names.get(label, label)


def _example(evidence: _Evidence, at: int) -> ExampleVerdict:
    one, opinion = evidence.examples[at], evidence.opinions[at]
    if evidence.groups[at] in evidence.disputed:
        reasons = [_contradiction(evidence, at)]
    else:
        reasons = [*_mislabel(evidence, one, opinion), *_copy(evidence, at)]
    better = opinion.best if opinion is not None and opinion.best != one.label else None
    own = opinion.own if opinion is not None else None
    return ExampleVerdict(one.key, one.label, worst(reasons), tuple(reasons), own, better)


def _contradiction(evidence: _Evidence, at: int) -> Reason:
    """The rest of the mail is the judge; without its word all sides are suspect."""
    one, opinion = evidence.examples[at], evidence.opinions[at]
    others = [
        evidence.examples[other]
        for other in evidence.members[evidence.groups[at]]
        if evidence.examples[other].label != one.label
    ]
    labels = list(dict.fromkeys(other.label for other in others))
    keys = tuple(other.key for other in others)
    places = " and ".join(evidence.name(label) for label in labels)
    sentence = f"The same text lies in {places} too"
    if opinion is not None and opinion.best in labels:
        sentence += f", where the rest of your mail would put it ({opinion.best_probability:.0%})."
        return Reason(Flaw.CONTRADICTION, Grade.BAD, sentence, keys)
    return Reason(Flaw.CONTRADICTION, Grade.SUSPECT, f"{sentence}.", keys)


def _is_off_diagonal(opinion: Opinion | None, label: str) -> bool:
    if opinion is None or opinion.believed in {None, label}:
        return False
    # Thresholds differ, so a class may be believed that is less probable than the given one.
    return opinion.best != label


def _is_clear(opinion: Opinion, settings: QualitySettings) -> bool:
    margin = opinion.best_probability - opinion.own
    usual = min(opinion.elsewhere, settings.most_elsewhere)
    return margin >= settings.clear_margin and opinion.own <= usual + settings.clear_own


def is_bad_label(one: Example, opinion: Opinion, settings: QualitySettings | None = None) -> bool:
    """Whether a mail that nobody has decided on reads clearly like mail of another label."""
    return (
        one.source in _FOUND
        and _is_off_diagonal(opinion, one.label)
        and _is_clear(opinion, settings or QualitySettings())
    )


def _mislabel(evidence: _Evidence, one: Example, opinion: Opinion | None) -> list[Reason]:
    if opinion is None or opinion.best == one.label:
        return []
    told = (
        f"Reads like {evidence.name(opinion.best)} ({opinion.best_probability:.0%}), "
        f"not like {evidence.name(one.label)} ({opinion.own:.0%})"
    )
    if _is_off_diagonal(opinion, one.label):
        if one.source not in _FOUND:
            return [Reason(Flaw.MISLABEL, Grade.SUSPECT, f"{told}, but you decided so yourself.")]
        is_bad = is_bad_label(one, opinion, evidence.settings)
        grade = Grade.BAD if is_bad else Grade.SUSPECT
        return [Reason(Flaw.MISLABEL, grade, f"{told}.")]
    if evidence.now - one.date > evidence.settings.old_after:
        return [Reason(Flaw.OUTDATED, Grade.SUSPECT, f"{told}, and is from {one.date:%Y}.")]
    return []


def _copy(evidence: _Evidence, at: int) -> list[Reason]:
    """Of several copies the newest stands for all."""
    later = [other for other in evidence.members[evidence.groups[at]] if other > at]
    if not later:
        return []
    newest = evidence.examples[later[-1]]
    for other in reversed(later):
        if _is_same(evidence.examples[at], evidence.examples[other]):
            exact = evidence.examples[other]
            return [
                Reason(
                    Flaw.EXACT_COPY,
                    Grade.SUSPECT,
                    f"Exactly the same mail as {exact.key}: it counts twice.",
                    (exact.key,),
                )
            ]
    sentence = f"Nearly the same text as {newest.key}."
    return [Reason(Flaw.NEAR_COPY, Grade.GOOD, sentence, (newest.key,))]


def _is_same(one: Example, other: Example) -> bool:
    return np.array_equal(one.features.indices, other.features.indices) and np.array_equal(
        one.features.values, other.features.values
    )


def _folder(evidence: _Evidence, label: str, verdicts: Sequence[ExampleVerdict]) -> FolderVerdict:
    own = [at for at, one in enumerate(evidence.examples) if one.label == label]
    grades = Counter(verdicts[at].grade for at in own)
    texts = len({evidence.groups[at] for at in own})
    newest = max(evidence.examples[at].date for at in own)
    reasons = [
        *_size(evidence, label, len(own), texts),
        *_age(evidence, newest),
        *_one_sided(evidence, label),
        *_wrong(evidence, grades, len(own)),
    ]
    return FolderVerdict(
        label=label,
        examples=len(own),
        texts=texts,
        good=grades[Grade.GOOD],
        suspect=grades[Grade.SUSPECT],
        bad=grades[Grade.BAD],
        newest=newest,
        grade=worst(reasons),
        reasons=tuple(reasons),
    )


def _size(evidence: _Evidence, label: str, count: int, texts: int) -> list[Reason]:
    """Too few, mostly copies, or far smaller than the largest; "leave it" may have any size."""
    if label == LEAVE:
        return []
    settings = evidence.settings
    reasons = []
    if texts < settings.min_per_folder:
        told = f"Only {texts} different texts: nothing can be learnt from so few."
        reasons.append(Reason(Flaw.TOO_FEW, Grade.BAD, told))
    elif texts < settings.few:
        told = f"Only {texts} different texts: more would make it surer."
        reasons.append(Reason(Flaw.TOO_FEW, Grade.SUSPECT, told))
    if 2 * texts < count:
        told = f"{count} mails but only {texts} different texts."
        reasons.append(Reason(Flaw.COPIES, Grade.SUSPECT, told))
    largest, size = max(evidence.sizes.items(), key=lambda item: item[1])
    if size > settings.imbalance * count:
        told = f"{evidence.name(largest)} has {size / count:.0f} times as many examples."
        reasons.append(Reason(Flaw.IMBALANCE, Grade.SUSPECT, told))
    return reasons


def _age(evidence: _Evidence, newest: datetime) -> list[Reason]:
    if evidence.now - newest <= evidence.settings.old_after:
        return []
    sentence = f"Nothing new since {newest:%B %Y}: such mail may look different today."
    return [Reason(Flaw.TOO_OLD, Grade.SUSPECT, sentence)]


def _wrong(evidence: _Evidence, grades: Counter[Grade], count: int) -> list[Reason]:
    bad = grades[Grade.BAD]
    if bad < evidence.settings.bad_share * count:
        return []
    sentence = f"{bad} of {count} examples probably belong elsewhere."
    return [Reason(Flaw.MISLABELS, Grade.BAD, sentence)]


_CARRIERS = {
    Block.SENDER: "One sender",
    Block.LIST: "One mailing list",
    Block.RECIPIENTS: "One recipient",
    Block.WORDS: "One phrase",
}


def _one_sided(evidence: _Evidence, label: str) -> list[Reason]:
    if label not in evidence.carriers:
        return []
    block, share = evidence.carriers[label]
    sentence = (
        f"{_CARRIERS[block]} is in {share:.0%} of the mails and hardly anywhere else: mail "
        "without it may not be recognised. Fine if that is what the folder is for."
    )
    return [Reason(Flaw.ONE_SIDED, Grade.SUSPECT, sentence)]


def _distinct(
    examples: Sequence[Example], groups: Sequence[int]
) -> dict[str, list[npt.NDArray[np.uint32]]]:
    """The feature indices of each label's mails, one per text: copies say nothing new."""
    distinct = {(group, one.label): one for one, group in zip(examples, groups, strict=True)}
    mails: dict[str, list[npt.NDArray[np.uint32]]] = {}
    for (_, label), one in distinct.items():
        mails.setdefault(label, []).append(one.features.indices)
    return mails


def _overall(folders: Sequence[FolderVerdict], names: Mapping[str, str]) -> tuple[Reason, ...]:
    """What is wrong with the whole: folders that are, and bad examples."""
    reasons = []
    usable = [folder for folder in folders if folder.label != LEAVE]
    if len(usable) < 2:
        told = "Fewer than two folders with examples: nothing to tell apart."
        reasons.append(Reason(Flaw.TOO_FEW, Grade.BAD, told))
    for grade, said in ((Grade.BAD, "Bad"), (Grade.SUSPECT, "Suspect")):
        flawed = [folder for folder in folders if folder.grade is grade]
        if flawed:
            told = f"{said} folders: {', '.join(names.get(f.label, f.label) for f in flawed)}."
            # One bad folder of many does not spoil the others.
            is_most = 2 * len(flawed) > len(folders)
            reasons.append(Reason(Flaw.FOLDERS, grade if is_most else Grade.SUSPECT, told))
    bad, count = sum(f.bad for f in folders), sum(f.examples for f in folders)
    if bad:
        told = f"{bad} of {count} examples probably belong elsewhere."
        grade = Grade.BAD if bad >= 0.1 * count else Grade.SUSPECT
        reasons.append(Reason(Flaw.MISLABELS, grade, told))
    return tuple(reasons)
