"""The exported model as an ONNX graph, written only when it computes the same.

The only module that knows ONNX. The graph is `InboxdForMail.forward` itself: token ids and the
bag of sparse features in, calibrated logits out.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from classifier.features import Features, lexical
from classifier.text import prepare
from daemon.export.modeling_inboxd import InboxdForMail
from daemon.mail.parse import parse

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-3
"""Largest difference of a logit that is let through; logits are of the order of 10."""
OPSET = 18
INPUTS = (
    "input_ids", "attention_mask", "wide_indices", "wide_values", "wide_offsets", "parent",
)  # fmt: skip
SAMPLES = (
    b"From: a@example.org\nSubject: Rechnung 4711\n\nBitte zahlen Sie den Betrag bis Freitag.\n",
    b"From: b@example.com\nSubject: Your booking\n\nThe train leaves at noon. See you there.\n",
    b"Subject: Hi\n\n" + b"A longer text, so that the rows of the batch differ. " * 20,
    b"From: nobody@example.net\n\n",
)
"""Made-up mails that both are asked about."""


class OnnxMissing(Exception):
    """The packages of the extra are not installed."""


class GraphDiffers(Exception):
    """The graph does not compute what the model computes, or cannot be made."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How the graph was compared: on so many mails, in batches of several sizes."""

    mails: int
    largest_difference: float
    tolerance: float


def onnx_graph(model: InboxdForMail, tokenizer: PreTrainedTokenizerBase) -> tuple[bytes, Parity]:
    """The serialised graph, and the comparison that it passed.

    Raises `OnnxMissing`, `GraphDiffers`.
    """
    if any(find_spec(package) is None for package in PACKAGES):
        raise OnnxMissing
    graph = _Graph(model).eval()
    content = _exported(graph, _inputs(model, tokenizer, SAMPLES[:2]))
    batches = [SAMPLES, SAMPLES[:1], SAMPLES[2:]]
    largest = max(_difference(content, graph, _inputs(model, tokenizer, b)) for b in batches)
    if not largest <= TOLERANCE:
        raise GraphDiffers(f"logits differ by up to {largest:.2g}")
    return content, Parity(len(SAMPLES), largest, TOLERANCE)


class _Graph(nn.Module):
    """`forward` with positional inputs and one output."""

    def __init__(self, model: InboxdForMail) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        wide_indices: Tensor,
        wide_values: Tensor,
        wide_offsets: Tensor,
        parent: Tensor,
    ) -> Tensor:
        """[B, C] calibrated logits; see `MailClassifier.forward`."""
        logits: Tensor = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            wide_indices=wide_indices,
            wide_values=wide_values,
            wide_offsets=wide_offsets,
            parent=parent,
        ).logits
        return logits


def _inputs(
    model: InboxdForMail, tokenizer: PreTrainedTokenizerBase, messages: Sequence[bytes]
) -> tuple[Tensor, ...]:
    """What the graph takes, for raw messages; the thread's parent is known for every second."""
    mails = [parse(message) for message in messages]
    texts = [prepare(mail) for mail in mails]
    config = model.config
    encoded = tokenizer(
        [config.prefix + text.encoder_text for text in texts],
        truncation=True,
        max_length=config.max_tokens,
        padding=True,
        return_tensors="pt",
    )
    nothing = np.zeros(config.hidden_size, np.float16)
    bag = model.bag(
        [Features(nothing, *lexical(mail, text)) for mail, text in zip(mails, texts, strict=True)]
    )
    parents = torch.tensor([number % 2 - 1 for number in range(len(mails))])
    return (
        encoded["input_ids"], encoded["attention_mask"],
        bag["wide_indices"], bag["wide_values"], bag["wide_offsets"], parents,
    )  # fmt: skip


def _exported(graph: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    batch, tokens, features = (torch.export.Dim(n) for n in ("batch", "tokens", "features"))
    shapes = (
        {0: batch, 1: tokens}, {0: batch, 1: tokens},
        {0: features}, {0: features}, {0: batch + 1}, {0: batch},
    )  # fmt: skip
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph, inputs, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes,
                input_names=list(INPUTS), output_names=["logits"], verbose=False,
            )  # fmt: skip
            assert program is not None  # always with dynamo=True
            with TemporaryDirectory(prefix="inboxd-onnx-") as directory:
                path = Path(directory) / "model.onnx"
                program.save(path)
                return path.read_bytes()
    except Exception as error:
        raise GraphDiffers(f"torch cannot export it ({type(error).__name__})") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _difference(content: bytes, graph: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """The largest absolute difference of a logit between ONNX Runtime and torch."""
    import onnxruntime  # noqa: PLC0415 - an extra

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feed: dict[str, Any] = {k: v.numpy() for k, v in zip(INPUTS, inputs, strict=True)}
    [found] = session.run(None, feed)
    with torch.inference_mode():
        expected = graph(*inputs).numpy()
    return float(np.abs(np.asarray(found) - expected).max())
