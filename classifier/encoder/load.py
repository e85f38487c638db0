"""From a model directory to a running encoder: checks, precision, prefix, fingerprint."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from classifier.encoder.device import choose_device, choose_precision
from classifier.encoder.encode import POOLING, Encoder
from classifier.encoder.errors import EncoderUnavailable
from classifier.encoder.files import (
    MANIFEST,
    read_json,
    recorded_sha256,
)
from classifier.encoder.locate import E5_PREFIX, TOKENIZER_FILES, model_directory, weight_files
from classifier.encoder.words import cast_but_words, stored_words
from classifier.manifest import sha256_of

DEFAULT_MAX_TOKENS = 256
_FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert")
"""Model types whose layers lie in `module.encoder.layer` and that train with dropout alike."""
_POSITIONS_AFTER_PAD = frozenset(_FAMILIES) - {"bert"}
"""RoBERTa numbers its positions from pad id + 1 on, so it has that many fewer."""
_IRRELEVANT = {"transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures"}
_loading = threading.Lock()


def load_encoder(
    source: str,
    cache_dir: Path,
    device: str = "auto",
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    precision: str = "auto",
    prefix: str | None = None,
) -> Encoder:
    """Find, check and load the encoder `source` (see `locate`).

    `cache_dir` holds the converted or downloaded model and the verdict on the CPU; it may be
    read-only once both are there. `device` is "auto", "cpu", "cuda", "cuda:<n>" or "mps",
    `precision` "auto", "float32", "bfloat16" or "float16". Texts are cut after `max_tokens`
    tokens, the special ones included.

    `prefix` stands before every text. None means: what the manifest of a converted model says,
    else "query: " for models called E5 (a part `e5` of the name, but not the instruct ones,
    which want a task description), else nothing.

    torch's number of threads is left as it is. Raises `EncoderUnavailable`.
    """
    target = choose_device(device)
    directory = model_directory(source, cache_dir)
    config = _config(directory)
    _check_length(max_tokens, config)
    if prefix is None:
        prefix = _prefix_of(source, directory)
    dtype = choose_precision(precision, target, cache_dir)
    module, tokenizer = _load(directory, target, dtype)
    return Encoder(
        module,
        tokenizer,
        source=source,
        prefix=prefix,
        max_tokens=max_tokens,
        fingerprint=fingerprint_of(directory, prefix, max_tokens),
    )


def fingerprint_of(directory: Path, prefix: str, max_tokens: int) -> str:
    """SHA-256 (hex) over all that decides what vector a text gets.

    Device and precision are left out on purpose: they move a vector by less than 1e-2 in
    cosine, and features that were computed on a GPU, or before the computer was replaced,
    shall stay usable. So are entries of config.json that change with the library's version.
    """
    config = read_json(directory / "config.json")
    parts = {
        "config": {k: v for k, v in config.items() if k not in _IRRELEVANT},
        "tokenizer": {
            name: _digest(directory, name)
            for name in TOKENIZER_FILES
            if (directory / name).is_file()
        },
        "weights": {path.name: _digest(directory, path.name) for path in weight_files(directory)},
        "pooling": POOLING,
        "prefix": prefix,
        "max_tokens": max_tokens,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(directory: Path, name: str) -> str:
    """From the manifest of a converted model, which was checked before; else computed."""
    return recorded_sha256(directory, name) or sha256_of(directory / name)


def _config(directory: Path) -> PreTrainedConfig:
    content = read_json(directory / "config.json")
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind not in _FAMILIES:
        raise EncoderUnavailable(
            f"{directory} holds no model of the BERT family: its config.json names {kind!r}",
            next_step=f"Use a model of one of the types {', '.join(_FAMILIES)}.",
        )
    if not weight_files(directory):
        raise EncoderUnavailable(
            f"{directory} has no complete safetensors weights",
            next_step="Save the model with save_pretrained; pickled weights (.bin) are never "
            "loaded, because loading them can run code.",
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise _broken(directory, error) from error
    return config


def _check_length(max_tokens: int, config: PreTrainedConfig) -> None:
    limit = int(config.max_position_embeddings)
    if config.model_type in _POSITIONS_AFTER_PAD:
        limit -= int(config.pad_token_id or 0) + 1
    if not 3 <= max_tokens <= limit:
        raise EncoderUnavailable(
            f"the encoder reads 3 to {limit} tokens, not {max_tokens}",
            next_step=f"Set max_tokens to at most {limit}.",
        )


def _prefix_of(source: str, directory: Path) -> str:
    manifest = read_json(directory / MANIFEST)
    if isinstance(manifest, dict) and isinstance(manifest.get("prefix"), str):
        return str(manifest["prefix"])
    name = Path(source).name.lower()
    is_e5 = re.search(r"(^|[-_.])e5([-_.]|$)", name) and "instruct" not in name
    return E5_PREFIX if is_e5 else ""


def _load(
    directory: Path, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model without pooler and fast tokenizer. On a CPU weights in half precision are loaded as
    they are, which only maps the file, and then cast: all but the word embeddings (`words`)."""
    try:
        words = stored_words(weight_files(directory)) if device.type == "cpu" else None
        with _quiet():
            module, report = AutoModel.from_pretrained(
                directory,
                dtype=dtype if words is None else words.dtype,
                attn_implementation="sdpa",
                add_pooling_layer=False,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(
                directory, trust_remote_code=False, local_files_only=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _broken(directory, error) from error
    if missing := report["missing_keys"]:
        # transformers would go on with random numbers in their place.
        raise _broken(directory, f"weights are missing: {', '.join(sorted(missing)[:5])}")
    if not tokenizer.is_fast:
        raise _broken(directory, "there is no fast tokenizer (tokenizer.json)")
    if words is not None and words.dtype != dtype:
        cast_but_words(module, words, dtype)
    return module.to(device).eval(), tokenizer


def _broken(directory: Path, problem: object) -> EncoderUnavailable:
    return EncoderUnavailable(
        f"the encoder in {directory} cannot be loaded: {problem}",
        next_step=f"Remove {directory} and fetch or convert the model again.",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and reports of transformers: unused pooler weights are expected here.

    Its switches are global, so they are set back, and only one thread loads at a time.
    """
    with _loading:
        verbosity = transformers_logging.get_verbosity()
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity(logging.ERROR)
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            if bars:
                transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
