"""The demo mailbox as examples to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from classifier.encoder import Encoder
from classifier.featurizer import Featurizer
from classifier.mail import Mail
from daemon.demo.mails import MessageBuilder, SampleMail, load_samples
from daemon.mail.parse import parse
from daemon.sorting.threads import hash_message_id
from trainer.examples import Example, in_time_order

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STORY = "sc-009"
"""The mail that the pages follow: a burglary that is taken for a cancellation."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo mailbox, read: `filed` in time order, `deliveries` as they arrive."""

    filed: tuple[Example, ...]
    deliveries: tuple[Example, ...]
    mails: Mapping[str, Mail]
    names: Mapping[str, str]


def read_demo(encoder: Encoder) -> Demo:
    """Parse and encode every sample mail once; keys are the samples' ids, labels folders."""
    samples = load_samples()
    builder = MessageBuilder(samples, NOW)
    chosen = (*samples.filed, *samples.deliveries)
    mails = [parse(builder.build(one)) for one in chosen]
    features = Featurizer(encoder).features(mails)

    def example(position: int, sample: SampleMail) -> Example:
        mail = mails[position]
        references = tuple(hash_message_id(each) for each in mail.references)
        message_id = hash_message_id(mail.message_id)
        date = builder.date(sample)
        return Example(sample.id, sample.folder, features[position], date, message_id, references)

    examples = [example(position, sample) for position, sample in enumerate(chosen)]
    filed = in_time_order(examples[: len(samples.filed)])
    return Demo(
        filed=tuple(filed),
        deliveries=tuple(examples[len(samples.filed) :]),
        mails=dict(zip((one.id for one in chosen), mails, strict=True)),
        names={folder: folder for folder in samples.folders},
    )
