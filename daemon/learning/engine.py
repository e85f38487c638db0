"""The encoders and the models, loaded when first needed.

One base encoder serves all accounts; each account has its own models. A model may name a low-rank
change to the encoder (`daemon.learning.encoders`), made by a deep fine-tune: then its account has
an encoder of its own, which shares all unchanged weights with the base. torch is imported here, in
functions, and nowhere else in the daemon: commands that judge no mail never load it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from classifier.features import Features
from classifier.labels import LEAVE
from classifier.mail import Mail
from daemon.errors import ModelDamaged, ModelError
from daemon.learning.encoders import TunedEncoders
from daemon.learning.gather import FeatureSource, label_key
from daemon.learning.kept import KeptFits
from daemon.sorting.judge import Verdict
from daemon.sorting.threads import LEFT_IN_INBOX

if TYPE_CHECKING:
    from classifier.decision import Prediction
    from classifier.encoder import Encoder
    from classifier.featurizer import Featurizer
    from classifier.model import MailClassifier
    from classifier.registry import Registry

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Which encoder, where it computes, where it is cached."""

    encoder: str
    device: str
    max_tokens: int
    threads: int
    cache_dir: Path
    models_dir: Path


class Engine:
    """Encoder and models of one state directory. Safe to use from several threads."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.kept = KeptFits()
        self._lock = threading.Lock()
        self._accounts: dict[str, AccountModel] = {}
        self._tuned: dict[Path, AccountEncoder] = {}

    def featurizer(self) -> Featurizer:
        """The featurizer; loads the encoder at its first call (seconds).

        Raises `ModelError` when the encoder cannot be had."""
        with self._lock:
            return self._featurizer

    @cached_property
    def _featurizer(self) -> Featurizer:
        from classifier.featurizer import Featurizer  # noqa: PLC0415 - loads torch

        return Featurizer(self._encoder)

    @cached_property
    def _encoder(self) -> Encoder:
        import torch  # noqa: PLC0415 - seconds of import

        from classifier.encoder import EncoderUnavailable, load_encoder  # noqa: PLC0415

        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        try:
            return load_encoder(
                self.settings.encoder,
                self.settings.cache_dir,
                self.settings.device,
                max_tokens=self.settings.max_tokens,
            )
        except EncoderUnavailable as error:
            raise ModelError(str(error), next_step=error.next_step) from error

    def base_encoder(self) -> Encoder:
        """The encoder as it was pretrained. Raises `ModelError`."""
        self.featurizer()
        return self._encoder

    def encoder_description(self) -> dict[str, object]:
        """Source, size and precision of the base encoder."""
        return dict(self.base_encoder().describe())

    def encoder(self, directory: Path | None) -> AccountEncoder:
        """The base encoder, or with the adapter in `directory` the tuned one.

        An adapter is loaded once for as long as the process lives. Raises `ModelError` when it
        is damaged or belongs to another base.
        """
        from classifier.featurizer import Featurizer  # noqa: PLC0415 - loads torch

        base = self.base_encoder()
        if directory is None:
            return AccountEncoder(None, self.featurizer(), base)
        with self._lock:
            if directory not in self._tuned:
                tuned = tuned_encoder(base, directory)
                self._tuned[directory] = AccountEncoder(
                    directory.name, Featurizer(tuned), tuned, TunedEncoders.seen_by(directory)
                )
            return self._tuned[directory]

    def account(self, name: str) -> AccountModel:
        """The models of one account."""
        return self.once(name, lambda: AccountModel(self, self.settings.models_dir / name))

    def once(self, key: str, make: Callable[[], AccountModel]) -> AccountModel:
        """What was made for `key` at the first call, and is kept with the model that it loads."""
        with self._lock:
            if key not in self._accounts:
                self._accounts[key] = make()
            return self._accounts[key]


@dataclass(frozen=True, slots=True, eq=False)
class AccountEncoder:
    """What an account's mail is read with.

    `adapter`: the id of the change to the base encoder, None for none. `seen`: keys of the
    examples that it was tuned on; what a model says about these is not honest.
    """

    adapter: str | None
    featurizer: Featurizer
    encoder: Encoder
    seen: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """Features are comparable only under the same one."""
        return self.featurizer.fingerprint

    def describe(self) -> dict[str, object]:
        """For the model's own record; `adapter` is how an account finds its encoder again."""
        return {**self.encoder.describe(), "adapter": self.adapter}

    def source(self, max_bytes: int) -> FeatureSource:
        """What the gatherer needs to fill the feature cache."""
        featurizer = self.featurizer
        return FeatureSource(
            featurize=lambda mails: [f.to_bytes() for f in featurizer.features(mails)],
            fingerprint=featurizer.fingerprint,
            max_bytes=max_bytes,
        )


def tuned_encoder(base: Encoder, directory: Path) -> Encoder:
    """`base` with the adapter in `directory`. Raises `ModelError`."""
    from classifier.encoder.adapter import (  # noqa: PLC0415 - loads torch
        AdapterMismatch,
        adapted,
        load_adapter,
    )
    from classifier.manifest import ArtifactBroken  # noqa: PLC0415

    try:
        return adapted(base, load_adapter(directory))
    except ArtifactBroken as error:
        raise ModelError(
            f"The tuned encoder {directory.name} is damaged: {error}.",
            next_step="Go back to the model before it: inboxd models rollback",
        ) from error
    except AdapterMismatch as error:
        raise ModelError(
            f"The tuned encoder {directory.name} was made from another encoder.",
            next_step="Learn again with this encoder: inboxd learn",
        ) from error


class AccountModel:
    """The registry of one account, its encoder, and the model that is in use, in memory.

    A model whose files are damaged is passed over: the one promoted before it is used, and
    `warning` says so until a sound one is promoted. See docs/adr/0026.
    """

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.directory = directory
        self.tuned = TunedEncoders(directory / "encoders")
        self.warning = ""
        self._engine = engine
        self._loaded: tuple[str, ModelJudge] | None = None

    def encoder(self) -> AccountEncoder:
        """The encoder of the model in use; the base encoder when there is none or it is lost.

        Raises `ModelError` when there is not even that.
        """
        version = self.current()
        adapter = self.adapter_of(version) if version is not None else None
        try:
            return self.encoder_of(adapter)
        except ModelError as error:
            if adapter is None:
                raise
            log.warning("encoder.tuned_unusable", adapter=adapter, reason=str(error))
            return self.encoder_of(None)

    def encoder_of(self, adapter: str | None) -> AccountEncoder:
        """The base encoder or one that was tuned for this account. Raises `ModelError`."""
        return self._engine.encoder(None if adapter is None else self.tuned.path(adapter))

    def adapter_of(self, version: str) -> str | None:
        """Which tuned encoder a model needs, None for the base encoder.

        Damage is found when the model is loaded, not here.
        """
        try:
            text = (self.registry.path(version) / "config.json").read_text(encoding="utf-8")
            adapter = json.loads(text)["encoder"]["adapter"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return adapter if isinstance(adapter, str) else None

    @contextmanager
    def locked(
        self,
        at_each_try: Callable[[], object] = lambda: None,  # noqa: ARG002 - for shared ones
    ) -> Iterator[None]:
        """Held by whoever changes what is on disk, beside the account's lock. That alone is enough
        for models of one account."""
        yield

    def prune(self, keep: int) -> None:
        """Remove models beyond the kept ones, and tuned encoders that no kept model needs."""
        self.registry.prune(keep=keep)
        kept = {self.adapter_of(info.version) for info in self.registry.versions()}
        self.tuned.prune({adapter for adapter in kept if adapter is not None})

    def forget(self, keys: frozenset[str]) -> None:
        """Remove every model, and the tuned encoders that were tuned on one of these examples.

        The pointers go first: whatever is left of a removal that was killed is in use nowhere.
        """
        self.registry.clear()
        self.tuned.forget(keys)
        self._loaded = None

    @property
    def registry(self) -> Registry:
        """The model versions on disk."""
        from classifier.registry import Registry  # noqa: PLC0415

        return Registry(self.directory)

    def current(self) -> str | None:
        """The version in use, None without one. Raises `ModelError` when nobody can tell."""
        from classifier.registry import RegistryError  # noqa: PLC0415

        try:
            return self.registry.current()
        except RegistryError as error:
            raise ModelError(
                f"{error}.",
                next_step="Delete this file, then run: inboxd learn",
            ) from error

    def judge(self) -> ModelJudge | None:
        """The model in use, loaded again whenever the pointer has moved; None without one.

        Raises `ModelError` when there is none that can be used, or when the current one suits
        another encoder.
        """
        version = self.current()
        if version is None:
            return None
        if self._loaded is None or self._loaded[0] != version:
            used, model = self.usable()
            encoder = self.encoder_of(self.adapter_of(used))
            self._loaded = version, ModelJudge(used, model, encoder.featurizer)
        return self._loaded[1]

    def usable(self) -> tuple[str, MailClassifier]:
        """The promoted model, or, where that is damaged, the sound one promoted last before it.

        Raises `ModelError`: that of the promoted one, when no other can take its place.
        """
        current, *earlier = self.registry.candidates()
        try:
            found = current, self.load(current)
        except ModelDamaged as error:
            log.warning("model.damaged", version=current, reason=str(error))
            other = self._first_sound(earlier)
            if other is None:
                raise ModelDamaged(
                    str(error), next_step="There is no other model. Learn again: inboxd learn"
                ) from error
            self.warning = _in_its_place(current, other[0])
            log.warning("model.fallen_back", version=current, used=other[0])
            return other
        self.warning = ""
        return found

    def _first_sound(self, versions: Sequence[str]) -> tuple[str, MailClassifier] | None:
        for version in versions:
            try:
                return version, self.load(version)
            except ModelError as error:
                log.warning("model.passed_over", version=version, reason=str(error))
        return None

    def damage(self) -> str:
        """What is wrong with the promoted model's files, "" when nothing is. Without torch."""
        from classifier.manifest import ArtifactBroken, checked_contents  # noqa: PLC0415

        def is_sound(version: str) -> bool:
            try:
                checked_contents(self.registry.path(version))
            except ArtifactBroken:
                return False
            return True

        if self.current() is None:
            return ""
        current, *earlier = self.registry.candidates()
        if is_sound(current):
            return ""
        other = next(filter(is_sound, earlier), None)
        if other is None:
            return f"Model {current} is damaged, and there is no other. Run: inboxd learn"
        return _in_its_place(current, other)

    def load(self, version: str) -> MailClassifier:
        """One version from disk, checked. Raises `ModelError`."""
        from classifier.artifact import ArtifactBroken, load_model  # noqa: PLC0415 - loads torch
        from classifier.model import FeaturizerMismatch  # noqa: PLC0415

        try:
            model = load_model(self.registry.path(version))
            model.check_featurizer(self.encoder_of(self.adapter_of(version)).fingerprint)
        except ArtifactBroken as error:
            raise ModelDamaged(f"Model {version} is damaged: {error}.") from error
        except FeaturizerMismatch as error:
            raise ModelError(
                f"Model {version} was trained with another encoder or text preparation.",
                next_step="Learn again with this encoder: inboxd learn",
            ) from error
        return model


def _in_its_place(damaged: str, used: str) -> str:
    return (
        f"Model {damaged} is damaged; model {used} is used in its place. "
        "To make that permanent: inboxd models rollback"
    )


class ModelJudge:
    """`daemon.sorting.judge.Judge` over a `MailClassifier`."""

    def __init__(self, version: str, model: MailClassifier, featurizer: Featurizer) -> None:
        self.version = version
        self.model = model
        self.featurizer = featurizer

    @property
    def fingerprint(self) -> str:
        """Fingerprint of encoder and preparation."""
        return self.featurizer.fingerprint

    def features(self, mails: Sequence[Mail]) -> list[bytes]:
        """Features as they are cached."""
        return [f.to_bytes() for f in self.featurizer.features(mails)] if mails else []

    def verdicts(self, features: Sequence[bytes], parents: Sequence[int | None]) -> list[Verdict]:
        """A verdict per mail; see `Judge`."""
        if not features:
            return []
        rows = [Features.from_bytes(data) for data in features]
        predictions = self.model.predict(rows, [self.parent_label(parent) for parent in parents])
        return [self.verdict(prediction) for prediction in predictions]

    def explain(
        self, mail: Mail, parent: int | None
    ) -> tuple[str, float, list[tuple[str, str, float]]]:
        """Name and probability of the folder that the mail is most like, and (kind, name, logits)
        of what spoke for it."""
        from classifier.explain import contributions  # noqa: PLC0415 - loads torch

        features = Features.from_bytes(self.features([mail])[0])
        kin = self.parent_label(parent)
        [prediction] = self.model.predict([features], [kin])
        found = contributions(self.model, mail, features, prediction.label, parent=kin)
        name = self.model.label_set.name(prediction.label)
        return (
            name,
            prediction.probability,
            [(each.block, each.name, each.weight) for each in found],
        )

    def parent_label(self, parent: int | None) -> str | None:
        """The label of the folder in which the nearest ancestor lies; see `Judge.verdicts`."""
        if parent is None:
            return None
        return label_key(None if parent == LEFT_IN_INBOX else parent)

    def verdict(self, prediction: Prediction) -> Verdict:
        """What a prediction means for the account."""
        decision = self.model.decide(prediction)
        ranked = tuple((_folder_id(label), p) for label, p in prediction.ranked)
        return Verdict(ranked, decision.threshold, decision.moves, self.model.sentence(decision))


def _folder_id(label: str) -> int | None:
    return None if label == LEAVE else int(label)
