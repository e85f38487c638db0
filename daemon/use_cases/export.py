"""A model as a directory for plain transformers code, without inboxd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from daemon.errors import ExtraMissing, ModelError, NotFound
from daemon.learning.gather import ignore
from daemon.use_cases.application import Application
from daemon.use_cases.models import show_model

if TYPE_CHECKING:
    from classifier.encoder import Encoder
    from daemon.export.onnx_graph import Parity

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
README = "README.md"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `onnx`: the largest difference between the logits of the ONNX graph and
    those of the model, None without a graph."""

    account: str
    version: str
    directory: str
    files: tuple[str, ...]
    bytes: int
    onnx: Parity | None


def export_model(
    app: Application,
    name: str,
    directory: Path,
    *,
    version: str | None = None,
    onnx: bool = False,
    progress: Progress = ignore,
) -> Exported:
    """Write a model (by default the one in use) with its encoder to `directory`, which must not
    exist yet; it appears complete or not at all.

    Raises `NotFound` (no such model, the directory exists or cannot be made), `ModelError`
    (damaged, made for another encoder, an ONNX graph that computes something else),
    `ExtraMissing`.
    """
    from classifier.manifest import write_directory  # noqa: PLC0415 - beside torch below
    from daemon.export.directory import (  # noqa: PLC0415 - loads torch
        exported_files,
        exported_model,
        manifest_of,
    )

    if directory.exists():
        raise NotFound(f"{directory} exists already.", next_step="Name a directory that is new.")
    steps = 4 if onnx else 3
    details = show_model(app, name, version)
    chosen = details.summary.version
    progress(0, steps)
    head = app.models(name).load(chosen)
    encoder, tokenizer = _exact_encoder(app, name, chosen)
    model = exported_model(head, encoder)
    progress(1, steps)
    card = _card(Path(details.directory), onnx=onnx)
    files = exported_files(model, tokenizer, card)
    progress(2, steps)
    parity = None
    if onnx:
        files["model.onnx"], parity = _graph(model, encoder)
        progress(3, steps)
    try:
        write_directory(directory, files, manifest_of(model, chosen))
    except OSError as error:
        raise NotFound(
            f"{directory} cannot be written: {error.strerror}.",
            next_step="Name a directory in a place of yours with enough room (about 300 MB).",
        ) from error
    progress(steps, steps)
    log.info("models.exported", account=name, version=chosen, onnx=onnx)
    size = sum(map(len, files.values()))
    return Exported(name, chosen, str(directory), tuple(sorted(files)), size, parity)


def _exact_encoder(app: Application, name: str, version: str) -> tuple[Encoder, Path]:
    """The encoder of a model in float32 (the configured one, with what was tuned for the account),
    and the directory that its tokenizer lies in.

    The engine's own may have been rounded to bfloat16. Raises `ModelError`.
    """
    from classifier.encoder import EncoderUnavailable, load_encoder  # noqa: PLC0415 - torch
    from classifier.encoder.locate import model_directory  # noqa: PLC0415
    from daemon.learning.engine import tuned_encoder  # noqa: PLC0415 - beside torch

    how = app.engine.settings
    try:
        encoder = load_encoder(
            how.encoder, how.cache_dir, "cpu", max_tokens=how.max_tokens, precision="float32"
        )
        tokenizer = model_directory(how.encoder, how.cache_dir)
    except EncoderUnavailable as error:
        raise ModelError(str(error), next_step=error.next_step) from error
    account = app.models(name)
    adapter = account.adapter_of(version)
    if adapter is not None:
        encoder = tuned_encoder(encoder, account.tuned.path(adapter))
    return encoder, tokenizer


def _card(directory: Path, *, onnx: bool) -> str:
    """The model's own card, with how to use the exported directory."""
    from classifier.manifest import ArtifactBroken, read_listed  # noqa: PLC0415
    from trainer.hub_card import exported_use, with_use  # noqa: PLC0415 - loads torch

    try:
        card = read_listed(directory, README).decode()
    except ArtifactBroken as error:
        raise ModelError(
            f"The model is damaged: {error}.", next_step="Choose another: inboxd models list"
        ) from error
    return with_use(card, exported_use(onnx))


def _graph(model: Any, encoder: Encoder) -> tuple[bytes, Parity]:
    from daemon.export.onnx_graph import GraphDiffers, OnnxMissing, onnx_graph  # noqa: PLC0415

    try:
        return onnx_graph(model, encoder.tokenizer)
    except OnnxMissing as error:
        raise ExtraMissing("An ONNX export", "onnx") from error
    except GraphDiffers as error:
        raise ModelError(
            f"The ONNX graph computes something else than the model: {error}.",
            next_step="Export without --onnx, and report this with the versions of "
            "torch, onnx and onnxscript.",
        ) from error
