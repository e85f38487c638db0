"""A small fitted model for the tests of this package: real mails, made-up vectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from classifier.features import Features, lexical
from classifier.mail import Address, Mail
from classifier.model import MailClassifier
from classifier.text import prepare
from trainer.examples import Example
from trainer.fit import fit

HIDDEN = 8
FINGERPRINT = "made-up-encoder+text+features"
_TOPICS = {
    "bills": ("Rechnung Nr. {}", "Bitte überweisen Sie den Betrag der Rechnung {} bis Monatsende."),
    "travel": ("Your booking {}", "The train leaves at noon; your seat reservation is number {}."),
    "lists": ("[dev] patch {}", "This patch, number {}, fixes the parser. Please review the diff."),
}


def mail_about(topic: str, number: int) -> Mail:
    """The `number`-th mail of a topic; lists have a List-Id."""
    subject, body = _TOPICS[topic]
    return Mail(
        subject=subject.format(number),
        sender=Address(f"{topic} office", f"{topic}{number % 2}@{topic}.example.org"),
        recipients=(Address("", "me@example.com"),),
        list_id="<dev.lists.example.org>" if topic == "lists" else "",
        plain=body.format(number) + f"\nReference {number * 7 % 23} and {number * 5 % 11}.",
        message_id=f"<{topic}-{number}@example.org>",
    )


def features_of(mail: Mail, topic: str, number: int) -> Features:
    """Its features, with a vector that leans towards the topic."""
    random = np.random.default_rng(number)
    vector = random.normal(size=HIDDEN) + 3.0
    vector[list(_TOPICS).index(topic)] += 2.0
    unit = (vector / np.linalg.norm(vector)).astype(np.float16)
    return Features(unit, *lexical(mail, prepare(mail)))


def examples(size: int = 90) -> list[Example]:
    """Mails of three topics in turn."""
    found = []
    for number in range(size):
        topic = list(_TOPICS)[number % 3]
        mail = mail_about(topic, number)
        found.append(
            Example(
                key=str(number),
                label=topic,
                features=features_of(mail, topic, number),
                date=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number),
                message_id=mail.message_id,
            )
        )
    return found


def small_model() -> MailClassifier:
    """A model of ninety mails in three folders."""
    names = {"bills": "Rechnungen", "travel": "Reisen", "lists": "Listen"}
    return fit(examples(), names, featurizer_fingerprint=FINGERPRINT).model
