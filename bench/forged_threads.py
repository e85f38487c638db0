"""What a stranger gains who answers to a thread that he has no part in.

    python -m bench.forged_threads MAILBOX STRANGERS

Both are directories FOLDER/*.eml. A model learns the first four fifths of MAILBOX. Each later
mail, and each mail of STRANGERS (people who have nothing to do with MAILBOX), is then judged
with a forged thread: as if it answered a mail in a folder drawn at random. Counted is how many
would be moved into that folder by itself, by the rule in use (no bound) and if the mail alone,
without its thread, had to put the folder among the first few; and what that costs honest mail.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.learning import Progress
from classifier.decision import Prediction
from classifier.features import Features
from classifier.model import MailClassifier
from daemon.bootstrap import build_engine
from daemon.config.settings import ModelSettings
from daemon.use_cases.replay import examples_of_tree, read_tree
from trainer.examples import Example, parent_labels
from trainer.fit import FitSettings, fit

SHARE_LEARNT = 0.8
RANKS = (1, 2, 3, 5)
SEED = 20260301


@dataclass(frozen=True, slots=True)
class Judged:
    """One mail: its folder (None: a stranger's), the claimed parent's, both predictions."""

    truth: str | None
    parent: str
    alone: Prediction
    with_thread: Prediction


def main() -> None:
    """Learn, forge, count, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mailbox", type=Path)
    parser.add_argument("strangers", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        engine = build_engine(ModelSettings(), Path(state))
        own, others = (
            examples_of_tree(engine.featurizer(), read_tree(each), Progress(f"{each.name}: encode"))
            for each in (arguments.mailbox, arguments.strangers)
        )
        fingerprint = engine.featurizer().fingerprint
    learnt = int(len(own) * SHARE_LEARNT)
    names = {one.label: one.label for one in own}
    fitted = fit(
        own[:learnt],
        names,
        FitSettings(),
        featurizer_fingerprint=fingerprint,
        target_precision=0.97,
    )
    print("\n".join(table(fitted.model, own, learnt, others)))


def table(
    model: MailClassifier, own: Sequence[Example], learnt: int, others: Sequence[Example]
) -> Iterator[str]:
    """Markdown: a row per rule."""
    later = own[learnt:]
    parents = parent_labels(own)[learnt:]
    draw = random.Random(SEED)  # noqa: S311 - a reproducible choice, no secret
    honest = [(one, parent) for one, parent in zip(later, parents, strict=True) if parent]
    forged = [(one, draw.choice([k for k in model.label_set.keys if k != one.label]))
              for one in later]  # fmt: skip
    strangers = [
        (dataclasses.replace(one, label=""), draw.choice(model.label_set.keys)) for one in others
    ]
    cases = {name: judged(model, pairs) for name, pairs in
             (("honest", honest), ("forged", forged), ("strangers", strangers))}  # fmt: skip
    bonus = model.calibration.thread_bonus
    yield f"{learnt} mails learnt, {len(later)} judged; thread bonus {bonus:.2f} logits."
    yield ""
    yield (
        f"| rule | honest answers moved (of {len(honest)}) | of these wrong "
        f"| forged, by other mail of the mailbox (of {len(forged)}) "
        f"| forged, by strangers (of {len(strangers)}) |"
    )
    yield "|---|---|---|---|---|"
    for name, limit in (("no bound", len(model.label_set.keys)), *((f"{r}", r) for r in RANKS)):
        moved = [each for each in cases["honest"] if moves(model, each, limit)]
        wrong = sum(each.with_thread.label != each.truth for each in moved)
        counts = [
            sum(
                moves(model, each, limit) and each.with_thread.label == each.parent
                for each in cases[case]
            )
            for case in ("forged", "strangers")
        ]
        yield f"| {name} | {len(moved)} | {wrong} | {counts[0]} | {counts[1]} |"


def judged(model: MailClassifier, pairs: Sequence[tuple[Example, str]]) -> list[Judged]:
    """Both predictions for each mail with a claimed parent."""
    features: list[Features] = [one.features for one, _ in pairs]
    alone = model.predict(features, [None] * len(pairs))
    claimed = model.predict(features, [parent for _, parent in pairs])
    return [
        Judged(one.label or None, parent, a, c)
        for (one, parent), a, c in zip(pairs, alone, claimed, strict=True)
    ]


def moves(model: MailClassifier, mail: Judged, limit: int) -> bool:
    """Whether it is moved when the mail alone must put the folder among the first `limit`."""
    decision = model.decide(mail.with_thread)
    first = [label for label, _ in mail.alone.ranked[:limit]]
    return decision.moves and (decision.label != mail.parent or decision.label in first)


if __name__ == "__main__":
    main()
