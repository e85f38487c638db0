"""Re-fitting an account's model: examples → candidate → gate → current model.

The candidate is written to the side and renamed, then the gate compares it with the model in
use, then the registry's pointer moves. Killed at any point, inboxd keeps working with the
model it had.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from daemon.errors import ModelError
from daemon.mailbox.port import Mailbox
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, ModelRow, ModelState

if TYPE_CHECKING:
    from daemon.learning.engine import AccountModel, Engine
    from daemon.learning.gather import FeatureSource, TrainingSet
    from trainer.descriptions import Description
    from trainer.evaluate import Report
    from trainer.fit import FitSettings, Fitted
    from trainer.gate import Contender, Verdict

log = structlog.get_logger(__name__)

REPORT_FILE = "report.json"
HELD_OUT_FILE = "held_out.json"
CARD_FILE = "README.md"


@dataclass(frozen=True, slots=True)
class RefitSettings:
    """How an account's examples become a model; see the configuration's [model], [training].

    `descriptions`: sentence by folder name.
    """

    max_bytes: int
    min_per_folder: int
    max_examples: int
    ridge: float
    target_precision: float
    keep_models: int
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refit:
    """The outcome. `version` is None when nothing could be trained; `reason` says why, or
    what the gate said. `evaluation` is that of a split by time, where one was asked for."""

    version: str | None
    promoted: bool
    reason: str
    examples: int
    labels: Mapping[str, str]
    seconds: float
    report: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None


def is_due(store: Store, account_name: str, descriptions: Mapping[str, str] | None = None) -> bool:
    """Whether people taught something since the last model was trained: by filing mail, or by
    changing the `descriptions` of their folders."""
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is None:
            return False
        newest = work.models.newest(account)
        described = _described(work, account, descriptions or {})
        if newest is None:
            return work.examples.count(account) > 0 or len(described) > 1
        return newest.data_hash != _data_hash(work, account, described)


def _described(
    work: UnitOfWork, account: Account, descriptions: Mapping[str, str]
) -> list[Description]:
    if not descriptions:
        return []
    from daemon.learning.gather import described_folders  # noqa: PLC0415 - numpy

    return described_folders(work, account, descriptions)


def _data_hash(work: UnitOfWork, account: Account, described: Sequence[Description]) -> str:
    """Identifies what a model would be trained on."""
    examples = work.examples.data_hash(account)
    if not described:
        return examples
    content = json.dumps([examples, *((d.label, d.name, d.sentence) for d in described)])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def refit(
    store: Store,
    engine: Engine,
    account_name: str,
    mailbox: Mailbox,
    settings: RefitSettings,
    clock: Callable[[], datetime],
    *,
    evaluate: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Refit:
    """Train a candidate on everything that people taught, and promote it through the gate.

    Features that are still missing are made first. With `evaluate` a split by time is measured
    as well. Raises `MailboxError`, `ModelError` (no encoder).
    """
    from daemon.learning.gather import cache_features  # noqa: PLC0415 - numpy
    from trainer.errors import ModelNotTrainable  # noqa: PLC0415

    started = time.perf_counter()
    source = engine.feature_source(settings.max_bytes)
    cache_features(
        store, mailbox, account_name, source, unfiled=unfiled_for(settings), stopped=stopped
    )
    if stopped():
        # A model of half the examples would pass for one of all of them.
        return Refit(None, False, "Stopped before training.", 0, {}, 0.0, {}, None)
    data, data_hash = _gathered(store, account_name, source, settings)
    try:
        candidate = _Candidate.train(data, settings, source.fingerprint, engine, evaluate=evaluate)
    except ModelNotTrainable as error:
        log.info("train.not_possible", account=account_name, examples=len(data.examples))
        return Refit(None, False, error.reason, len(data.examples), {}, 0.0, {}, None)
    models = engine.account(account_name)
    verdict = candidate.judge(models)
    now = clock()
    version = models.registry.new_version(now)
    candidate.save(models, version, now, verdict)
    if verdict.promote:
        models.registry.promote(version)
    _record(store, account_name, version, candidate, verdict, data_hash, now)
    models.registry.prune(keep=settings.keep_models)
    seconds = time.perf_counter() - started
    log.info(
        "train.done",
        account=account_name,
        version=version,
        examples=len(data.examples),
        promoted=verdict.promote,
        seconds=round(seconds, 2),
    )
    return Refit(
        version,
        verdict.promote,
        verdict.reason,
        len(data.examples),
        data.label_names,
        seconds,
        candidate.report,
        candidate.evaluation.as_dict() if candidate.evaluation is not None else None,
    )


def unfiled_for(settings: RefitSettings) -> int:
    """How many mails without a folder may help; they do where folders are described."""
    from trainer.descriptions import BACKGROUND  # noqa: PLC0415 - numpy

    return BACKGROUND if settings.descriptions else 0


def _gathered(
    store: Store, account_name: str, source: FeatureSource, settings: RefitSettings
) -> tuple[TrainingSet, str]:
    """What there is to learn from, descriptions included, and the hash that identifies it."""
    from classifier.features import Features  # noqa: PLC0415 - numpy
    from daemon.learning.gather import training_set  # noqa: PLC0415
    from trainer.descriptions import description_examples  # noqa: PLC0415

    described: list[Description] = []
    data_hash = ""
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is not None:
            described = _described(work, account, settings.descriptions)
            data_hash = _data_hash(work, account, described)
    data = training_set(
        store,
        account_name,
        source.fingerprint,
        min_per_folder=settings.min_per_folder,
        described={each.label for each in described},
        unfiled=unfiled_for(settings) if described else 0,
    )
    # A handful of texts: encoding them anew is cheaper than a place to keep them.
    examples = description_examples(
        described, lambda mails: [Features.from_bytes(f) for f in source.featurize(mails)]
    )
    return data.with_descriptions(described, examples), data_hash


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A trained model on its way to the gate."""

    data: TrainingSet
    fitted: Fitted
    settings: FitSettings
    evaluation: Report | None

    @classmethod
    def train(
        cls,
        data: TrainingSet,
        settings: RefitSettings,
        fingerprint: str,
        engine: Engine,
        *,
        evaluate: bool,
    ) -> _Candidate:
        """Fit, and with `evaluate` measure a split by time. Raises `ModelNotTrainable`."""
        from trainer.errors import ModelNotTrainable  # noqa: PLC0415
        from trainer.evaluate import evaluate_over_time  # noqa: PLC0415 - loads torch
        from trainer.fit import FitSettings, fit  # noqa: PLC0415

        chosen = FitSettings(ridge_lambda=settings.ridge, max_examples=settings.max_examples)
        fitted = fit(
            data.examples,
            data.label_names,
            chosen,
            featurizer_fingerprint=fingerprint,
            target_precision=settings.target_precision,
            encoder=engine.encoder_description(),
            background=data.background,
        )
        evaluation = None
        if evaluate:
            # Too few examples for a split of their own are no reason not to begin.
            with suppress(ModelNotTrainable, ValueError):
                evaluation = evaluate_over_time(
                    data.examples,
                    data.label_names,
                    chosen,
                    target_precision=settings.target_precision,
                )
        return cls(data, fitted, chosen, evaluation)

    @property
    def report(self) -> dict[str, Any]:
        """The figures of the fit without the single predictions, plus names and thresholds."""
        figures = self.fitted.report.as_dict()
        del figures["held_out"]
        figures["label_names"] = dict(self.data.label_names)
        figures["thresholds"] = self.fitted.model.config.thresholds
        if self.evaluation is not None:
            figures["evaluation"] = self.evaluation.as_dict()
        return figures

    def judge(self, models: AccountModel) -> Verdict:
        """Ask the gate, against the model in use (if it can still be used at all)."""
        from trainer import gate  # noqa: PLC0415 - loads torch

        current = _current(models)
        return gate.judge(
            gate.Contender(self.fitted.model, self.fitted.report.held_out),
            current,
            self.data.examples,
        )

    def save(self, models: AccountModel, version: str, now: datetime, verdict: Verdict) -> None:
        """Write the model directory: model, report for the gate of the next one, model card."""
        from classifier.artifact import save_model  # noqa: PLC0415 - loads torch
        from trainer.card import model_card  # noqa: PLC0415
        from trainer.fit import held_out_to_json  # noqa: PLC0415

        card = model_card(
            self.fitted.model,
            self.fitted.report,
            self.settings,
            created=now,
            evaluation=self.evaluation,
        )
        save_model(
            self.fitted.model,
            models.registry.path(version),
            manifest={
                "created": now.isoformat(),
                "examples": len(self.data.examples),
                "gate": verdict.reason,
            },
            files={
                REPORT_FILE: json.dumps(self.report, indent=1),
                HELD_OUT_FILE: held_out_to_json(self.fitted.report.held_out),
                CARD_FILE: card,
            },
        )


def _current(models: AccountModel) -> Contender | None:
    """The model in use and what it says about mail that it had not seen.

    Where its files are damaged, that is the model used in its place. None when there is none,
    or when none can be used any more (damaged, another encoder): then any model is better.
    """
    from classifier.manifest import ArtifactBroken, read_listed  # noqa: PLC0415
    from trainer.fit import held_out_from_json  # noqa: PLC0415 - loads torch
    from trainer.gate import Contender  # noqa: PLC0415

    version = models.current()
    if version is None:
        return None
    try:
        version, model = models.usable()
        held_out = read_listed(models.registry.path(version), HELD_OUT_FILE)
    except (ModelError, ArtifactBroken) as error:
        log.warning("train.current_unusable", version=version, reason=str(error))
        return None
    return Contender(model, held_out_from_json(held_out.decode()))


def _record(
    store: Store,
    account_name: str,
    version: str,
    candidate: _Candidate,
    verdict: Verdict,
    data_hash: str,
    now: datetime,
) -> None:
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        work.models.add(
            ModelRow(
                account_id=account.id,
                version=version,
                state=ModelState.PROMOTED if verdict.promote else ModelState.REJECTED,
                reason=verdict.reason,
                examples=len(candidate.data.examples),
                data_hash=data_hash,
                report=candidate.report | {"gate": dict(verdict.figures)},
                created_at=now,
            )
        )
        work.commit()
