"""From a stored model and its encoder to the files of an exported directory."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from classifier.encoder.locate import TOKENIZER_FILES
from classifier.model import MailClassifier
from daemon.export.configuration_inboxd import InboxdConfig
from daemon.export.modeling_inboxd import InboxdForMail
from daemon.export.sources import exported_sources

if TYPE_CHECKING:
    from classifier.encoder import Encoder

AUTO_MAP = {
    "AutoConfig": "configuration_inboxd.InboxdConfig",
    "AutoModel": "modeling_inboxd.InboxdForMail",
    "AutoModelForSequenceClassification": "modeling_inboxd.InboxdForMail",
}
_IRRELEVANT = {"_name_or_path", "architectures", "transformers_version", "dtype"}


def exported_model(head: MailClassifier, encoder: Encoder) -> InboxdForMail:
    """Head and encoder in one model, in evaluation mode. `encoder` must be in float32."""
    config = head.config.to_dict()
    described = encoder.module.config.to_dict()
    model = InboxdForMail(
        InboxdConfig(
            **{k: v for k, v in config.items() if k not in {*_IRRELEVANT, "model_type"}},
            encoder_config={k: v for k, v in described.items() if k not in _IRRELEVANT},
            prefix=encoder.prefix,
            max_tokens=encoder.max_tokens,
            architectures=["InboxdForMail"],
            auto_map=AUTO_MAP,
            dtype="float32",
        )
    )
    weights = {f"encoder.{name}": tensor for name, tensor in encoder.module.state_dict().items()}
    model.load_state_dict({**head.state_dict(), **weights}, strict=True)
    model.requires_grad_(requires_grad=False)
    model.train(mode=False)
    return model


def exported_files(model: InboxdForMail, tokenizer: Path, card: str) -> dict[str, bytes]:
    """Everything but an ONNX graph. `tokenizer`: the directory that its files lie in."""
    files = {name: text.encode() for name, text in exported_sources().items()}
    files["config.json"] = model.config.to_json_string(use_diff=False).encode()
    files["model.safetensors"] = safetensors.torch.save(
        {name: _small(tensor) for name, tensor in model.state_dict().items()},
        metadata={"format": "pt"},
    )
    for name in TOKENIZER_FILES:
        path = tokenizer / name
        if path.is_file():
            files[name] = path.read_bytes()
    files["README.md"] = card.encode()
    licence = _licence()
    if licence:
        files["LICENSE"] = licence.encode()
    return files


def _small(tensor: Tensor) -> Tensor:
    """In half precision where that loses nothing, as for weights that came in it."""
    if not tensor.is_floating_point():
        return tensor.contiguous()
    half = tensor.half()
    return (half if torch.equal(half.float(), tensor) else tensor).contiguous()


def _licence() -> str:
    """The licence of the code in the directory, which must go with it."""
    try:
        metadata = distribution("inboxd")
    except PackageNotFoundError:
        return ""
    return metadata.read_text("licenses/LICENSE") or metadata.read_text("LICENSE") or ""


def manifest_of(model: InboxdForMail, version: str) -> dict[str, str]:
    """What the directory's manifest says besides the hashes of its files."""
    return {"model": version, "features": str(model.config.featurizer_fingerprint)}
