"""Median time of text preparation, lexical features and storage for a mail of 2,000 characters.

python bench/features.py [repetitions]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from classifier.features import Features, lexical
from classifier.mail import Address, Mail
from classifier.text import prepare

CHARACTERS = 2_000


def make_mail(characters: int) -> Mail:
    """A mail whose words follow a Zipf-like distribution over 3,000 made-up words."""
    generator = random.Random(1)  # noqa: S311  repeatable text, not a secret
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    words = [
        "".join(generator.choices(letters, range(26, 0, -1), k=generator.randint(2, 11)))
        for _ in range(3_000)
    ]
    chosen = generator.choices(words, [1 / rank for rank in range(1, 3_001)], k=characters)
    lines = [" ".join(chosen[start : start + 10]) for start in range(0, characters, 10)]
    return Mail(
        subject="Re: Your invoice 2024-17",
        sender=Address("Example Billing", "billing@mail.example.org"),
        recipients=(Address("Anna", "anna@example.org"),),
        plain="\n".join(lines)[:characters],
        attachments=("invoice.pdf",),
    )


def median_milliseconds(repetitions: int, action: Callable[[], object]) -> float:
    """The median duration of `action` in milliseconds."""
    durations = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        durations.append(time.perf_counter() - start)
    return 1_000 * statistics.median(durations)


def main() -> None:
    """Measure and print one line per step."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    mail = make_mail(CHARACTERS)
    html = Mail(html="".join(f"<p>{line}</p>" for line in mail.plain.split("\n")))
    text = prepare(mail)
    features = Features(np.ones(384, np.float16), *lexical(mail, text))
    stored = features.to_bytes()
    steps: dict[str, Callable[[], object]] = {
        "prepare, plain": lambda: prepare(mail),
        "prepare, HTML": lambda: prepare(html),
        "lexical": lambda: lexical(mail, text),
        "to_bytes": features.to_bytes,
        "from_bytes": lambda: Features.from_bytes(stored),
    }
    for name, action in steps.items():
        print(f"{name:16}{median_milliseconds(repetitions, action):8.3f} ms")
    print(f"{features.indices.size} features, {len(stored)} bytes stored")


if __name__ == "__main__":
    main()
