"""The deep fine-tune: low-rank changes to the upper layers of the encoder, trained through a head.

    text ── tokens ── BERT (frozen) + LoRA in its upper layers ── masked mean ── centred ── linear
                                                                                   cross-entropy

The head on top is a `MailClassifier` without lexical features: the same `forward`, the same
centring as in serving (vectors of sentence encoders lie in a narrow cone; without the centre all
cosines are near 1 and no gradient tells folders apart). It starts from the folders' mean vectors,
so the first step already has a direction, and is thrown away in the end: what is kept is the
encoder. Word embeddings and lower layers are frozen: they are most of the parameters and all of
what a few hundred mails could spoil.

Knows texts, labels and vectors, nothing of mail. Nothing is written but Trainer's checkpoints (the
trainable tensors, optimiser and random state, never a text or a token) and TensorBoard's scalars.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from classifier.encoder import Encoder
from classifier.model import MailClassifier, MailClassifierConfig
from trainer.curves import CurvePoint, Curves, OnPoint
from trainer.steps import DeepSettings, class_weights

Floats = npt.NDArray[np.float32]
TRAINABLE = "trainable.safetensors"
"""The changed tensors in a checkpoint of Trainer's."""
_TARGETS = ("query", "key", "value", "dense")


@dataclass(frozen=True, slots=True, eq=False)
class TextExample:
    """A text, its class number, and its vector [hidden] by the encoder as it is now."""

    text: str
    label: int
    vector: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """The outcome: peft's tensors and configuration of the best state, and how it came about."""

    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    curves: Curves
    trainable: int
    steps: int
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """What a caller is told while it runs: steps done and planned, and each look."""

    on_step: Callable[[int, int], None] = lambda _done, _total: None
    on_point: OnPoint = lambda _point: None


def finetune(
    encoder: Encoder,
    train: Sequence[TextExample],
    validation: Sequence[TextExample],
    settings: DeepSettings,
    directory: Path,
    *,
    bf16: bool = False,
    watch: Watch | None = None,
) -> Tuned:
    """Tune `encoder.module` (float32; it is changed) and return the best state.

    `directory` receives the checkpoints; when it already holds some, training goes on from the
    last one, which must be of the same texts in the same order and the same settings.
    """
    if not train or not validation:
        raise ValueError("a deep fine-tune needs texts to train on and texts to validate on")
    classes = 1 + max(one.label for one in train)
    tuned_module = _with_lora(encoder, settings)
    model = _model(tuned_module, train, classes, encoder.hidden_size, settings.seed)
    weights = class_weights([one.label for one in train], classes, settings.balance)
    clock = _Clock(settings.seconds)
    arguments = _arguments(settings, directory, len(train), encoder.device.type, bf16=bf16)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=_Tokens(encoder, train, settings.max_tokens, weights),
        eval_dataset=_Tokens(encoder, validation, settings.max_tokens, weights),
        data_collator=_Collator(int(encoder.module.config.pad_token_id or 0)),
        compute_metrics=_accuracy,
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=settings.patience),
            _Reporter(watch or Watch(), clock),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # standard output is for the caller
    trainer.train(resume_from_checkpoint=_last_checkpoint(directory))
    return Tuned(
        tensors=get_peft_model_state_dict(tuned_module),
        config=_plain(tuned_module.peft_config["default"]),
        curves=curves_of(trainer.state.log_history),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        steps=trainer.state.global_step,
        timed_out=clock.is_over(),
    )


def curves_of(history: Sequence[Mapping[str, Any]]) -> Curves:
    """The looks in Trainer's log, each with the mean training loss since the one before."""
    points: list[CurvePoint] = []
    training = float("nan")
    for entry in history:
        training = float(entry.get("loss", training))
        if "eval_loss" in entry:
            points.append(
                CurvePoint(
                    round(float(entry["epoch"]), 2),
                    training,
                    float(entry["eval_loss"]),
                    float(entry["eval_accuracy"]),
                )
            )
    return Curves(tuple(points))


# -- the model ------------------------------------------------------------------------------------


def _with_lora(encoder: Encoder, settings: DeepSettings) -> PeftModel:
    """The encoder with trainable low-rank changes in its upper layers, all else frozen."""
    depth = int(encoder.module.config.num_hidden_layers)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=settings.dropout,
        target_modules=list(_TARGETS),
        layers_to_transform=list(range(max(depth - settings.layers, 0), depth)),
        layers_pattern="layer",
        bias="none",
    )
    for parameter in encoder.module.parameters():
        parameter.requires_grad = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        module = get_peft_model(encoder.module, config)
    if not isinstance(module, PeftModel):
        raise TypeError("peft made something else than a PeftModel")
    return module


def _model(
    module: PeftModel, train: Sequence[TextExample], classes: int, hidden: int, seed: int
) -> MailClassifier:
    """The head over the encoder, its weights the centred mean vectors of the classes."""
    names = [str(number) for number in range(classes)]
    config = MailClassifierConfig(labels=names, label_names=names, hidden_size=hidden)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MailClassifier(config)
    vectors = np.stack([one.vector for one in train]).astype(np.float32)  # [n, hidden]
    labels = np.array([one.label for one in train])
    centre = vectors.mean(axis=0)
    means = np.stack([(vectors[labels == c] - centre).mean(axis=0) for c in range(classes)])
    model.centre.copy_(torch.from_numpy(centre))
    with torch.no_grad():
        directions = functional.normalize(torch.from_numpy(means), dim=1, eps=1e-6)  # [C, hidden]
        model.deep_weight.copy_(directions / config.block_weights["deep"] ** 0.5)
    model.wide_weight.requires_grad = False  # there are no lexical features
    model.attach_encoder(module)
    return model


# -- the data -------------------------------------------------------------------------------------


class _Tokens(Dataset[dict[str, Any]]):
    """Token ids in memory; padding comes later, per batch."""

    def __init__(
        self,
        encoder: Encoder,
        texts: Sequence[TextExample],
        max_tokens: int,
        weights: Sequence[float],
    ) -> None:
        self._rows = encoder.token_ids([one.text for one in texts], max_tokens)
        self._labels = [one.label for one in texts]
        self._weights = [weights[one.label] if one.label >= 0 else 0.0 for one in texts]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "input_ids": self._rows[index],
            "labels": self._labels[index],
            "label_weights": self._weights[index],
        }


class _Collator:
    """Pads a batch to its own longest row (dynamic padding)."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """input_ids, attention_mask [B, T], labels, label_weights [B]"""
        longest = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), longest), self._pad)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for at, row in enumerate(rows):
            ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            mask[at, : len(row["input_ids"])] = 1
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": torch.tensor([row["labels"] for row in rows]),
            "label_weights": torch.tensor([row["label_weights"] for row in rows]),
        }


def _accuracy(predictions: EvalPrediction) -> dict[str, float]:
    """Share of right classes; a class unseen in training cannot be right."""
    logits, labels = predictions.predictions, predictions.label_ids
    return {"accuracy": float((np.asarray(logits).argmax(axis=1) == labels).mean())}


# -- transformers.Trainer -------------------------------------------------------------------------


class _Trainer(Trainer):
    """Saves and loads the trainable tensors only: a checkpoint is a megabyte, not half a gigabyte.

    Trainer itself writes optimiser, scheduler and random state beside them with torch.save and
    reads them with `weights_only=True`, which executes nothing.
    """

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002 - Trainer's signature
        directory = Path(output_dir or self.args.output_dir or ".")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu() for name, tensor in _trainable(self.model)}
        safetensors.torch.save_file(tensors, directory / TRAINABLE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        tensors = safetensors.torch.load_file(Path(resume_from_checkpoint) / TRAINABLE)
        with torch.no_grad():
            for name, tensor in _trainable(model or self.model):
                tensor.copy_(tensors[name])

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint is not None:
            self._load_from_checkpoint(self.state.best_model_checkpoint)


def _trainable(model: Any) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.named_parameters():
        if tensor.requires_grad:
            yield name, tensor


class _Clock:
    """Whether the time for training is used up."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class _Reporter(TrainerCallback):
    """Tells the caller of each step and each look, and ends training when its time is over."""

    def __init__(self, watch: Watch, clock: _Clock) -> None:
        self._watch = watch
        self._clock = clock

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002  transformers' signature
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002  the same
    ) -> None:
        """A step is done."""
        self._watch.on_step(state.global_step, state.max_steps)
        if self._clock.is_over():
            control.should_evaluate = control.should_save = True
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002  transformers' signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002  the same
        **kwargs: Any,  # noqa: ARG002  the same
    ) -> None:
        """A look was taken."""
        self._watch.on_point(curves_of(state.log_history).points[-1])


def _arguments(
    settings: DeepSettings, directory: Path, examples: int, device: str, *, bf16: bool
) -> TrainingArguments:
    steps_per_epoch = -(-examples // settings.batch_size)
    look = max(1, steps_per_epoch // settings.looks_per_epoch)
    return TrainingArguments(
        output_dir=str(directory),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warm_up * steps_per_epoch * settings.epochs),
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        eval_steps=look,
        save_steps=look,
        logging_steps=look,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        label_names=["labels"],
        remove_unused_columns=False,
        use_cpu=device == "cpu",
        bf16=bf16,
        seed=settings.seed,
        data_seed=settings.seed,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def _last_checkpoint(directory: Path) -> str | None:
    """The newest complete checkpoint: Trainer writes its state last."""
    found = [
        path for path in directory.glob("checkpoint-*") if (path / "trainer_state.json").is_file()
    ]
    found.sort(key=lambda path: int(path.name.partition("-")[2]))
    return str(found[-1]) if found else None


def _plain(config: Any) -> dict[str, Any]:
    """peft's configuration as JSON values, without the path of the encoder."""
    document = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in config.to_dict().items()
        if value is None or isinstance(value, bool | int | float | str | list | dict | set)
    }
    document["base_model_name_or_path"] = None
    document["inference_mode"] = True
    return document
