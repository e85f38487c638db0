"""Folders known by a sentence: one pseudo-mail each, learnt before any mail.

A description is one example among the mails of its folder, so what it says counts for all at
first, for half beside one mail, for a tenth beside nine: it fades by itself. Other weights
(0.1 to 4, constant or falling with the number of mails) changed the mails left to move on a
mailbox of 210 by one or two: no more than the order of the descriptions does.

A handful of sentences says little of how common a word is, or where mail lies in the encoder's
space. Mail that nobody has filed yet tells both without a label: `FeatureSpace.learn` takes up to
`BACKGROUND` such mails, until as many have labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from classifier.features import Features
from classifier.mail import Mail
from classifier.space import BlockWeights
from trainer.examples import Example, Source

BACKGROUND = 100
"""Mails from which on document frequencies and centre need no help. With descriptions alone 57 %
of `omq-fold1` were named rightly, with ten unlabelled mails 59, fifty 61, a hundred 62."""

WEIGHT = 1.0
"""A description counts as one mail."""

ALONE_DEEP = 1.0
"""The most that the encoder's vector weighs while there is nothing but descriptions: a sentence
shares its words with the mail that it describes rather than its tone. 61.4 instead of 59.5 % of
`omq-fold1` were named rightly (±7 points); once there is mail, a weight of 1.5 is better."""

_BEFORE_ALL_MAIL = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Description:
    """What a person says of the folder behind `label`: its name and a sentence."""

    label: str
    name: str
    sentence: str

    def mail(self) -> Mail:
        """The pseudo-mail: the name as the subject (unless it is a mere number), the sentence
        below it."""
        says_something = any(character.isalpha() for character in self.name)
        return Mail(subject=self.name if says_something else "", plain=self.sentence)


def blocks_for(examples: Sequence[Example], blocks: BlockWeights) -> BlockWeights:
    """`blocks`, or those for a start without any filed mail."""
    if any(one.is_mail for one in examples):
        return blocks
    return replace(blocks, deep=min(blocks.deep, ALONE_DEEP))


Featurize = Callable[[Sequence[Mail]], Sequence[Features]]


def description_examples(
    descriptions: Sequence[Description], featurize: Featurize
) -> list[Example]:
    """One example per description, to be learnt beside the mails and never predicted."""
    features = featurize([each.mail() for each in descriptions])
    return [
        Example(
            key=f"description {each.label}",
            label=each.label,
            features=one,
            date=_BEFORE_ALL_MAIL,
            message_id="",
            weight=WEIGHT,
            source=Source.DESCRIPTION,
        )
        for each, one in zip(descriptions, features, strict=True)
    ]
