"""What the pages quote: every number from predictions of mail that was not learnt yet, but for
those that show what happens otherwise."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.figures.demo import STORY, Demo
from classifier.encoder import Encoder
from classifier.explain import Contribution, contributions
from classifier.mail import Mail
from classifier.model import MailClassifier
from classifier.space import BlockWeights
from classifier.text import prepare
from classifier.threads import ThreadLabels
from daemon.demo.mails import INBOX
from trainer.evaluate import evaluate_over_time
from trainer.examples import Example, parent_labels, threads
from trainer.fit import FitSettings, fit
from trainer.head import Head
from trainer.metrics import class_scores, confusion_matrix, roc_auc
from trainer.replay import Replay, ReplaySettings, Step, replay

SKIP = 20
SPLITS, TEST_SHARE = 10, 0.2
BINS = 10
RIDGES = (0.0001, 0.03, 10.0, 1000.0)

Numbers = dict[str, Any]
"""JSON values by name."""
Counts = npt.NDArray[np.int64]


def size_of(encoder: Encoder) -> Numbers:
    """How large the encoder is."""
    said, config = encoder.describe(), encoder.module.config
    return {
        "layers": said["layers"],
        "attention_heads": int(config.num_attention_heads),
        "hidden_size": said["hidden_size"],
        "parameters": said["parameters"],
        "vocabulary": int(config.vocab_size),
        "max_tokens": said["max_tokens"],
    }


def tokens(encoder: Encoder, mail: Mail) -> list[str]:
    """The tokens of a mail as the encoder reads it, special ones and prefix included."""
    text = encoder.prefix + prepare(mail).encoder_text
    encoded = encoder.tokenizer(text, truncation=True, max_length=encoder.max_tokens)
    return [str(piece) for piece in encoder.tokenizer.convert_ids_to_tokens(encoded["input_ids"])]


def confusion(scored: Sequence[Step]) -> tuple[list[str], Counts]:
    """Folders by name, and the counts [C, C]; row: true folder, column: predicted one."""
    labels = sorted({step.truth for step in scored} | {step.predicted or "" for step in scored})
    truth = np.array([labels.index(step.truth) for step in scored], dtype=np.int64)
    said = np.array([labels.index(step.predicted or "") for step in scored], dtype=np.int64)
    return labels, confusion_matrix(truth, said, len(labels))


def confusion_numbers(scored: Sequence[Step]) -> Numbers:
    """The matrix with precision, recall and F1 of every folder, and the wrong moves."""
    labels, counts = confusion(scored)
    scores = zip(labels, class_scores(counts), strict=True)
    wrong = [one for one in scored if one.moves and not one.is_right]
    return {
        "labels": labels,
        "counts": counts.tolist(),
        "per_folder": {label: dataclasses.asdict(one) for label, one in scores},
        "wrong_moves": [dataclasses.asdict(one) for one in wrong],
    }


def reliability(scored: Sequence[Step]) -> list[Numbers]:
    """Equally filled groups by confidence: mean confidence, share right with a 95 % interval.

    Jeffreys interval (Brown, Cai, DasGupta, Interval Estimation for a Binomial Proportion, 2001).
    """
    ordered = sorted(scored, key=lambda step: step.probability)
    groups = np.array_split(np.arange(len(ordered)), BINS)
    found = []
    for group in groups:
        right = sum(ordered[at].is_right for at in group)
        posterior = stats.beta(right + 0.5, len(group) - right + 0.5)
        mean = float(np.mean([ordered[at].probability for at in group]))
        found.append(
            {
                "mails": len(group),
                "confidence": mean,
                "right": right / len(group),
                "low": float(posterior.ppf(0.025)),
                "high": float(posterior.ppf(0.975)),
            }
        )
    return found


def confidence_by_quarter(scored: Sequence[Step]) -> list[float]:
    """Mean confidence in each quarter, to compare with `accuracy_by_quarter`."""
    parts = np.array_split(np.array([step.probability for step in scored]), 4)
    return [float(part.mean()) for part in parts]


def sureness_auc(scored: Sequence[Step]) -> float | None:
    """How often a right prediction is surer than a wrong one."""
    sureness = np.array([step.probability for step in scored], dtype=np.float64)
    return roc_auc(sureness, np.array([step.is_right for step in scored], dtype=np.bool_))


def fitting(demo: Demo) -> dict[str, dict[str, float]]:
    """By λ: share right on the mail that was learnt, and on each mail when it was left out."""
    found = {}
    for ridge in RIDGES:
        head = Head(demo.filed, ridge)
        left_out = head.leave_one_out()
        unseen = float((left_out.scores.argmax(axis=1) == left_out.truth).mean())
        found[str(ridge)] = {"learnt": _share_right(head, demo.filed), "unseen": unseen}
    return found


def _share_right(head: Head, examples: Sequence[Example]) -> float:
    best = [head.labels[int(np.argmax(head.scores(one.features)))] for one in examples]
    return float(np.mean([said == one.label for said, one in zip(best, examples, strict=True)]))


def ablation(demo: Demo) -> dict[str, int]:
    """Wrong folders in the replay with everything, without meaning, with nothing but meaning."""
    everything = BlockWeights()
    nothing = {field.name: 0.0 for field in dataclasses.fields(BlockWeights)}
    chosen = {
        "everything": everything,
        "without meaning": dataclasses.replace(everything, deep=0.0),
        "meaning alone": BlockWeights(**{**nothing, "deep": everything.deep}),
    }
    found = {}
    for name, blocks in chosen.items():
        settings = ReplaySettings(skip=SKIP, fit=FitSettings(blocks=blocks))
        found[name] = replay(demo.filed, settings).report.manual_moves_forced
    return found


def splits(demo: Demo) -> Numbers:
    """What a random split gives away: test mails with a thread in training, and how they do."""
    size = round(TEST_SHARE * len(demo.filed))
    families = threads(demo.filed)
    random = np.random.default_rng(0)
    rounds = []
    for _ in range(SPLITS):
        drawn = np.zeros(len(demo.filed), dtype=np.bool_)
        drawn[random.permutation(len(demo.filed))[:size]] = True
        rounds.append(_split(demo, families, drawn))
    newest = np.arange(len(demo.filed)) >= len(demo.filed) - size
    mean = {key: float(np.mean([one[key] for one in rounds])) for key in rounds[0]}
    return {"test_mails": size, "random_mean": mean, "by_time": _split(demo, families, newest)}


def _split(demo: Demo, families: Sequence[int], test: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Learn from the mails outside `test` [n]. Shares: right of all; leaked; right of these and
    of the others (0 where there is none)."""
    head = Head([one for one, out in zip(demo.filed, test, strict=True) if not out])
    learnt = {family for family, out in zip(families, test, strict=True) if not out}
    parts: tuple[list[Example], list[Example]] = ([], [])
    for position in np.flatnonzero(test).tolist():
        parts[families[position] in learnt].append(demo.filed[position])
    others, leaked = parts
    return {
        "right": _share_right(head, [*others, *leaked]),
        "leaked": len(leaked) / (len(others) + len(leaked)),
        "right_of_leaked": _share_right(head, leaked) if leaked else 0.0,
        "right_of_others": _share_right(head, others) if others else 0.0,
    }


def explained(demo: Demo) -> tuple[list[Contribution], Numbers]:
    """The story's mail by a model of the earlier mails: why this folder rather than that.

    "That" is the folder it belongs to, or the second best where the model is right.
    """
    position = [one.key for one in demo.filed].index(STORY)
    mail = demo.filed[position]
    model = _fit(demo, demo.filed[:position])
    parent = parent_labels(demo.filed)[position]
    prediction = model.predict([mail.features], [parent])[0]
    best, second = prediction.ranked[0][0], prediction.ranked[1][0]
    against = mail.label if mail.label != best else second
    found = contributions(
        model, demo.mails[STORY], mail.features, best, parent=parent, against=against
    )
    blocks: defaultdict[str, float] = defaultdict(float)
    for one in found:
        blocks[one.block] += one.weight
    return found, {
        "learnt_from": position,
        "for": best,
        "against": against,
        "ranked": [[label, share] for label, share in prediction.ranked[:3]],
        "sentence": model.decide(prediction).sentence(best),
        "blocks": dict(sorted(blocks.items(), key=lambda each: -each[1])),
    }


def story_thread(demo: Demo, steps: Sequence[Step]) -> list[Numbers]:
    """What was said of the story's mail and the other mails of its thread, in time order."""
    families = dict(zip((one.key for one in demo.filed), threads(demo.filed), strict=True))
    return [dataclasses.asdict(one) for one in steps if families[one.key] == families[STORY]]


def final_model(demo: Demo) -> Numbers:
    """The model of the whole mailbox: its thresholds, what it does with new mail, its test."""
    model = _fit(demo, demo.filed)
    test = evaluate_over_time(demo.filed, demo.names)
    return {
        "thresholds": {label: one.threshold for label, one in model.thresholds.items()},
        "deliveries": deliveries(demo, model),
        "newest_tenth": {
            "mails": test.mails,
            "accuracy": test.accuracy.value,
            "roc_auc": test.roc_auc,
            "coverage": test.coverage.value,
        },
    }


def deliveries(demo: Demo, model: MailClassifier) -> dict[str, int]:
    """New mail, by whether it belongs into a folder and by what the model does with it."""
    kin = ThreadLabels()
    for one in demo.filed:
        kin.add(one.message_id, one.references, one.label)
    parents = [kin.label_of(one.references) for one in demo.deliveries]
    predictions = model.predict([one.features for one in demo.deliveries], parents)
    counts: Counter[str] = Counter()
    for one, prediction in zip(demo.deliveries, predictions, strict=True):
        belongs = "belongs nowhere" if one.label == INBOX else "belongs into a folder"
        right = "rightly" if prediction.label == one.label else "wrongly"
        moves = model.decide(prediction).moves
        counts[f"{belongs}, {f'moved {right}' if moves else 'left'}"] += 1
    return dict(counts)


def _fit(demo: Demo, examples: Sequence[Example]) -> MailClassifier:
    return fit(examples, demo.names, featurizer_fingerprint="demo").model


def figures_of(lived: Replay) -> Numbers:
    """The replay's report without its times, which depend on the machine."""
    return {key: value for key, value in lived.report.as_dict().items() if "second" not in key}
