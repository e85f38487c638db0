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
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from classifier.costs import NO_COSTS, Costs
from daemon.learning.incumbent import HELD_OUT_FILE, model_in_use
from daemon.learning.share import Share, trained_with
from daemon.mailbox.port import Mailbox
from daemon.store import Store, UnitOfWork
from daemon.store.tables import Account, ModelRow, ModelState
from trainer.tensorboard import log_curves

if TYPE_CHECKING:
    from daemon.learning.engine import AccountEncoder, AccountModel, Engine
    from daemon.learning.gather import FeatureSource, TrainingSet
    from daemon.learning.kept import Memory
    from trainer.descriptions import Description
    from trainer.evaluate import Report
    from trainer.fit import FitSettings, Fitted
    from trainer.gate import Verdict
    from trainer.heads import Learner
    from trainer.steps import ClassicSettings

log = structlog.get_logger(__name__)

REPORT_FILE = "report.json"
CARD_FILE = "README.md"


@dataclass(frozen=True, slots=True)
class RefitSettings:
    """How an account's examples become a model; see the configuration's [model], [training].

    `descriptions`: sentence by folder name. `blocks`: weight by block, the defaults where none
    is given. `costs`: of mistakes, by folder name. `classic`: None for the ridge head.
    `curve_log`: where TensorBoard looks for what learns in steps, None when it is not wanted.
    `share`: the accounts that learn together with this one.
    `keep_mb`: how many megabytes may stay in memory between two fits, of all accounts together.
    """

    max_bytes: int
    min_per_folder: int
    max_examples: int
    ridge: float
    target_precision: float
    keep_models: int
    descriptions: Mapping[str, str] = field(default_factory=dict)
    blocks: Mapping[str, float] = field(default_factory=dict)
    costs: Costs = NO_COSTS
    classic: ClassicSettings | None = None
    curve_log: Path | None = None
    share: Share | None = None
    keep_mb: int = 0

    def for_fit(self) -> FitSettings:
        """The same in the trainer's terms."""
        from classifier.space import BlockWeights  # noqa: PLC0415 - numpy
        from trainer.fit import FitSettings  # noqa: PLC0415 - loads torch

        return FitSettings(
            ridge_lambda=self.ridge,
            blocks=BlockWeights(**self.blocks),
            max_examples=self.max_examples,
        )


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


def is_due(
    store: Store,
    account_name: str,
    descriptions: Mapping[str, str] | None = None,
    costs: Costs = NO_COSTS,
    share: Share | None = None,
) -> bool:
    """Whether people taught something since the last model was trained: by filing mail, or by
    changing the `descriptions` of their folders or the `costs` of mistakes. With `share` any of
    its people, as far as their mail was read, or this account's own."""
    if share is not None:
        from daemon.learning.pool import is_pool_due  # noqa: PLC0415 - numpy

        return is_pool_due(store, share, account_name, costs)
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is None:
            return False
        newest = work.models.newest(account)
        described = _described(work, account, descriptions or {})
        if newest is None:
            return work.examples.count(account) > 0 or len(described) > 1
        return newest.data_hash != _data_hash(work, account, described, costs)


def _described(
    work: UnitOfWork, account: Account, descriptions: Mapping[str, str]
) -> list[Description]:
    if not descriptions:
        return []
    from daemon.learning.gather import described_folders  # noqa: PLC0415 - numpy

    return described_folders(work, account, descriptions)


def _label_costs(work: UnitOfWork, account: Account, costs: Costs) -> Costs:
    if not costs:
        return NO_COSTS
    from daemon.learning.gather import label_costs  # noqa: PLC0415 - numpy

    return label_costs(work, account, costs)


def _data_hash(
    work: UnitOfWork, account: Account, described: Sequence[Description], costs: Costs
) -> str:
    """Identifies what a model would be trained on; `costs` by folder name."""
    examples = work.examples.data_hash(account)
    by_label = _label_costs(work, account, costs).to_json()
    if not described and not by_label:
        return examples
    texts = [(d.label, d.name, d.sentence) for d in described]
    # Without costs the same as before there were any: an update alone makes no re-fit due.
    content = json.dumps([examples, *texts, *([{"costs": by_label}] if by_label else [])])
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
    random_split: bool = False,
    encoder: AccountEncoder | None = None,
    more_report: Mapping[str, Any] | None = None,
    only_if_due: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Refit:
    """Train a candidate on everything that people taught, and promote it through the gate.

    Features that are still missing are made first. With `evaluate` a split by time (or a random
    one) is measured as well. `encoder`: another one than that of the model in use; `more_report`
    goes into the model's report. `only_if_due`: not when another account of a shared model has
    just learned the same. Raises `MailboxError`, `ModelError` (no encoder).
    """
    from daemon.learning.gather import cache_features  # noqa: PLC0415 - numpy
    from daemon.learning.shared import account_models  # noqa: PLC0415 - beside the engine

    started = time.perf_counter()
    models = account_models(engine, store, account_name, settings.share)
    encoder = encoder or models.encoder()
    source = encoder.source(settings.max_bytes)
    cache_features(
        store, mailbox, account_name, source, unfiled=unfiled_for(settings), stopped=stopped
    )
    # Reading may take hours, and others share the model: from here on it is minutes at most.
    with models.locked(stopped):
        if stopped():
            # A model of half the examples would pass for one of all of them.
            return Refit(None, False, "Stopped before training.", 0, {}, 0.0, {}, None)
        if only_if_due and not is_due(
            store, account_name, settings.descriptions, settings.costs, settings.share
        ):
            return Refit(None, False, "Nothing new to learn.", 0, {}, 0.0, {}, None)
        return _trained(
            store,
            engine,
            models,
            settings.share.owner if settings.share is not None else account_name,
            settings,
            clock,
            source=source,
            evaluate=evaluate,
            random_split=random_split,
            encoder=encoder,
            more_report=more_report,
            started=started,
        )


def _trained(
    store: Store,
    engine: Engine,
    models: AccountModel,
    account_name: str,
    settings: RefitSettings,
    clock: Callable[[], datetime],
    *,
    source: FeatureSource,
    evaluate: bool,
    random_split: bool,
    encoder: AccountEncoder,
    more_report: Mapping[str, Any] | None,
    started: float,
) -> Refit:
    """The candidate and what became of it; `account_name`: to whom models belong."""
    from trainer.errors import ModelNotTrainable  # noqa: PLC0415

    share = settings.share
    memory = engine.kept.take(
        account_name, store, encoder.fingerprint, share.accounts if share is not None else None
    )
    facts: Mapping[str, Any] = {}
    if share is not None:
        data, data_hash, costs, facts = _pooled(store, share, source, settings, memory)
    else:
        data, data_hash, costs = _gathered(store, account_name, source, settings, memory)
    try:
        candidate = _Candidate.train(
            data,
            settings,
            _learner(settings, memory),
            costs,
            encoder,
            evaluate=evaluate,
            random=random_split,
            more={**(more_report or {}), **facts},
        )
    except ModelNotTrainable as error:
        _leave_out_former(store, models, settings.share)
        log.info("train.not_possible", account=account_name, examples=len(data.examples))
        return Refit(None, False, error.reason, len(data.examples), {}, 0.0, {}, None)
    _leave_out_former(store, models, settings.share)
    verdict = candidate.judge(models, store, encoder, _turned_away(store, account_name))
    now = clock()
    version = models.registry.new_version(now)
    candidate.save(models, version, now, verdict)
    if settings.curve_log is not None and candidate.fitted.curves is not None:
        log_curves(settings.curve_log / version, candidate.fitted.curves)
    if verdict.promote:
        models.registry.promote(version)
    _record(store, account_name, version, candidate, verdict, data_hash, now)
    engine.kept.give_back(account_name, memory, version, settings.keep_mb * 1_000_000)
    models.prune(keep=settings.keep_models)
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


def _turned_away(store: Store, account_name: str) -> int:
    """How many candidates in a row the rules that give way in the end have turned away."""
    from trainer.gate import PATIENT_RULES  # noqa: PLC0415 - loads torch

    count = 0
    with store.read() as work:
        account = work.accounts.get(account_name)
        for row in work.models.of(account) if account is not None else ():
            if row.state is not ModelState.REJECTED:
                break
            count += row.report.get("gate", {}).get("rule") in PATIENT_RULES
    return count


def unfiled_for(settings: RefitSettings) -> int:
    """How many mails without a folder may help; they do where folders are described."""
    from trainer.descriptions import BACKGROUND  # noqa: PLC0415 - numpy

    return BACKGROUND if settings.descriptions else 0


def _gathered(
    store: Store,
    account_name: str,
    source: FeatureSource,
    settings: RefitSettings,
    memory: Memory,
) -> tuple[TrainingSet, str, Costs]:
    """What there is to learn from, descriptions included, the hash that identifies it, and the
    costs of mistakes by label."""
    from daemon.learning.gather import training_set  # noqa: PLC0415 - numpy

    described: list[Description] = []
    data_hash, costs = "", NO_COSTS
    with store.read() as work:
        account = work.accounts.get(account_name)
        if account is not None:
            described = _described(work, account, settings.descriptions)
            data_hash = _data_hash(work, account, described, settings.costs)
            costs = _label_costs(work, account, settings.costs)
    data = training_set(
        store,
        account_name,
        source.fingerprint,
        min_per_folder=settings.min_per_folder,
        described={each.label for each in described},
        unfiled=unfiled_for(settings) if described else 0,
        memo=memory.features(account_name),
    )
    examples = memory.description_examples(described, source)
    return data.with_descriptions(described, examples), data_hash, costs


def _pooled(
    store: Store, share: Share, source: FeatureSource, settings: RefitSettings, memory: Memory
) -> tuple[TrainingSet, str, Costs, Mapping[str, Any]]:
    """The same of all accounts that share a model, and what its report says of them."""
    from daemon.learning.pool import pooled  # noqa: PLC0415 - numpy

    found = pooled(
        store,
        share,
        source,
        min_per_folder=settings.min_per_folder,
        unfiled=unfiled_for(settings),
        costs=settings.costs,
        memory=memory,
    )
    return found.data, found.data_hash, found.costs, found.facts


def _leave_out_former(store: Store, models: AccountModel, share: Share | None) -> None:
    """Remove models that were trained with the mail of an account that shares no longer.

    The gate must not keep one for being better: whoever leaves takes his mail along.
    """
    if share is None:
        return
    with store.read() as work:
        owner = work.accounts.get(share.owner)
        rows = work.models.of(owner) if owner is not None else []
        former = {row.version for row in rows if trained_with(row) - set(share.accounts)}
    former &= {info.version for info in models.registry.versions()}
    if former:
        models.registry.remove(former)
        log.info("train.former_left_out", share=share.name, models=len(former))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A trained model on its way to the gate."""

    data: TrainingSet
    fitted: Fitted
    settings: FitSettings
    evaluation: Report | None
    report: Mapping[str, Any]
    """The figures of the fit without the single predictions, plus names and thresholds."""

    @classmethod
    def train(
        cls,
        data: TrainingSet,
        settings: RefitSettings,
        learner: Learner | None,
        costs: Costs,
        encoder: AccountEncoder,
        *,
        evaluate: bool,
        random: bool,
        more: Mapping[str, Any],
    ) -> _Candidate:
        """Fit, and with `evaluate` measure a split by time. Raises `ModelNotTrainable`."""
        from trainer.errors import ModelNotTrainable  # noqa: PLC0415
        from trainer.evaluate import evaluate_over_time  # noqa: PLC0415 - loads torch
        from trainer.fit import fit  # noqa: PLC0415
        from trainer.splits import random_split  # noqa: PLC0415

        chosen = settings.for_fit()
        fitted = fit(
            data.examples,
            data.label_names,
            chosen,
            featurizer_fingerprint=encoder.fingerprint,
            target_precision=settings.target_precision,
            costs=costs,
            encoder=encoder.describe(),
            background=data.background,
            learner=learner,
            seen=encoder.seen,
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
                    costs=costs,
                    learner=_classic(settings),
                    seen=encoder.seen,
                    split=random_split(data.examples) if random else None,
                )
                more = {**more, "split": "random" if random else "time"}
        report = _report(fitted, data.label_names, evaluation)
        return cls(data, fitted, chosen, evaluation, {**report, **more})

    def judge(
        self, models: AccountModel, store: Store, encoder: AccountEncoder, turned_away: int
    ) -> Verdict:
        """Ask the gate, against the model in use (if it can still be used at all)."""
        from trainer import gate  # noqa: PLC0415 - loads torch

        # Mail that an encoder was tuned on is no fair question to a model on top of it.
        current, seen = model_in_use(models, store, encoder, self.data.examples)
        fair = [one for one in self.data.examples if one.key not in encoder.seen | seen]
        return gate.judge(
            gate.Contender(self.fitted.model, self.fitted.report.held_out),
            current,
            fair,
            turned_away,
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


def _report(
    fitted: Fitted, label_names: Mapping[str, str], evaluation: Report | None
) -> dict[str, Any]:
    figures = replace(fitted.report, held_out={}).as_dict()
    del figures["held_out"]
    figures["label_names"] = dict(label_names)
    figures["thresholds"] = fitted.model.config.thresholds
    figures["head"] = fitted.model.config.head
    if fitted.curves is not None and fitted.curves.points:
        figures["curves"] = fitted.curves.as_dict()
    if evaluation is not None:
        figures["evaluation"] = evaluation.as_dict()
    return figures


def _learner(settings: RefitSettings, memory: Memory) -> Learner | None:
    """The kind of head that the configuration asks for; the ridge head from what is kept."""
    if settings.classic is not None:
        return _classic(settings)
    return memory.ridge.learner(settings.for_fit(), settings.keep_mb * 1_000_000)


def _classic(settings: RefitSettings) -> Learner | None:
    """The classic head, None where the configuration asks for the ridge head."""
    if settings.classic is None:
        return None
    from trainer.classic import classic  # noqa: PLC0415 - loads torch

    return classic(settings.classic)


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
                report={**candidate.report, "gate": {**verdict.figures, "rule": verdict.rule}},
                created_at=now,
            )
        )
        work.commit()
