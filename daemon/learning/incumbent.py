"""The model in use as the gate hears it: itself, and what it says about mail it had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from daemon.errors import ModelError
from daemon.store import Store

if TYPE_CHECKING:
    from classifier.model import MailClassifier
    from daemon.learning.engine import AccountEncoder, AccountModel
    from trainer.examples import Example
    from trainer.gate import Contender
    from trainer.report import HeldOut

log = structlog.get_logger(__name__)

HELD_OUT_FILE = "held_out.json"


def model_in_use(
    models: AccountModel, store: Store, encoder: AccountEncoder, examples: Sequence[Example]
) -> tuple[Contender | None, frozenset[str]]:
    """The model in use, what it says about mail that it had not seen, and what its encoder was
    tuned on.

    Where its files are damaged, that is the model used in its place. None when there is none,
    or when none can be used any more (damaged, another encoder): then any model is better. When
    it reads mail with another encoder than the candidate (`encoder`), it is asked here, about
    features of its own.
    """
    from classifier.manifest import ArtifactBroken, read_listed  # noqa: PLC0415
    from trainer.fit import held_out_from_json  # noqa: PLC0415 - loads torch
    from trainer.gate import Contender  # noqa: PLC0415

    version = models.current()
    if version is None:
        return None, frozenset()
    try:
        version, model = models.usable()
        own = models.encoder_of(models.adapter_of(version))
        text = read_listed(models.registry.path(version), HELD_OUT_FILE)
    except (ModelError, ArtifactBroken) as error:
        log.warning("train.current_unusable", version=version, reason=str(error))
        return None, frozenset()
    held_out = held_out_from_json(text.decode())
    if own.fingerprint != encoder.fingerprint:
        held_out = {**_says(model, store, own, examples), **held_out}
    return Contender(model, held_out), own.seen


def _says(
    model: MailClassifier, store: Store, encoder: AccountEncoder, examples: Sequence[Example]
) -> dict[str, HeldOut]:
    """What `model` says about mails, as far as its own encoder has read them."""
    from classifier.features import Features  # noqa: PLC0415 - numpy
    from trainer.examples import parent_labels  # noqa: PLC0415
    from trainer.report import said_unseen  # noqa: PLC0415

    mails = [
        (one, parent)
        for one, parent in zip(examples, parent_labels(examples), strict=True)
        if one.is_mail
    ]
    with store.read() as work:
        found = work.features.get(encoder.fingerprint, [int(one.key) for one, _ in mails])
    known = [(one, parent) for one, parent in mails if int(one.key) in found]
    said = said_unseen(
        model, [(Features.from_bytes(found[int(one.key)]), parent) for one, parent in known]
    )
    return {one.key: each for (one, _), each in zip(known, said, strict=True)}
