"""Why: what each word, sender, list and the text's meaning added to a folder's logit.

The ridge head is linear in its rows, so the contributions are not an approximation: they sum to
the logit exactly (up to rounding). The classic head reads nothing but the meaning and is not
linear in it, so all of its logit is the meaning's, and no word can be named.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from classifier.features import Features, block_of, named_features
from classifier.mail import Mail
from classifier.model import MailClassifier
from classifier.space import Rows
from classifier.text import prepare

MEANING = "meaning"
"""Block name of the encoder's vector."""
THREAD = "thread"
"""Block name of the bonus for the folder of the thread's parent."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """`weight` logits for (or, negative, against) the label, by `name` of `block`.

    `block` is the lower-cased name of a `Block`, `MEANING` or `THREAD`. Features without a
    readable name (character n-grams) are summed up, one contribution per block, named "".
    """

    name: str
    block: str
    weight: float


def contributions(
    model: MailClassifier,
    mail: Mail,
    features: Features,
    label: str,
    *,
    parent: str | None = None,
    against: str | None = None,
) -> list[Contribution]:
    """Everything that speaks for and against `label`, strongest first.

    With `against` (another label) the contributions are those to the difference of the two
    logits: why this folder rather than that. They sum to the logit (to the difference).
    Raises `ValueError` for a label that the model does not know.
    """
    direction = _direction(model, label, against)
    rows = model.space.rows([features])
    found = _sparse(model, mail, rows, direction)
    found.append(Contribution("", MEANING, _meaning(model, features, direction)))
    position = model.label_set.index(parent)
    if parent is not None and position >= 0 and direction[position]:
        bonus = model.calibration.thread_bonus * float(direction[position])
        found.append(Contribution(model.label_set.name(parent), THREAD, bonus))
    return sorted(found, key=lambda one: -abs(one.weight))


def _meaning(model: MailClassifier, features: Features, direction: np.ndarray) -> float:
    """What the encoder's vector adds to the logit."""
    vector = torch.from_numpy(features.vector.astype(np.float32))[None, :]
    with torch.inference_mode():
        scores = model.meaning_scores(vector.to(model.device))[0].cpu().numpy()  # [C]
    return model.calibration.scale * float(scores @ direction)


def _direction(model: MailClassifier, label: str, against: str | None) -> np.ndarray:
    """[C] +1 at `label`, −1 at `against`."""
    direction = np.zeros(len(model.label_set), dtype=np.float32)
    for key, sign in ((label, 1.0), (against, -1.0)):
        position = model.label_set.index(key)
        if position >= 0:
            direction[position] += sign
        elif key is not None:
            raise ValueError(f"the model does not know the label {key!r}")
    return direction


def _sparse(
    model: MailClassifier, mail: Mail, rows: Rows, direction: np.ndarray
) -> list[Contribution]:
    """One contribution per named feature of the mail, one per block for the nameless rest."""
    known = rows.columns >= 0
    weights = model.wide_weight.detach().numpy()[rows.columns[known]] @ direction
    shares = model.calibration.scale * rows.values[known] * weights
    names = _names(mail)
    found: list[Contribution] = []
    nameless: defaultdict[str, float] = defaultdict(float)
    for key, share in zip(rows.keys[known].tolist(), shares.tolist(), strict=True):
        block = block_of(key).name.lower()
        if key in names:
            found.append(Contribution(names[key], block, share))
        else:
            nameless[block] += share
    found.extend(Contribution("", block, share) for block, share in nameless.items())
    return found


def _names(mail: Mail) -> dict[int, str]:
    """Readable name by feature key; two names under one hash are both shown."""
    names: dict[int, str] = {}
    for key, name in named_features(mail, prepare(mail)):
        known = names.get(int(key))
        names[int(key)] = name if known in (None, name) else f"{known} / {name}"
    return names
