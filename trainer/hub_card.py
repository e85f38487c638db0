"""What the model card says in the format of the Hugging Face hub: the YAML block at its top, and
the sections on the encoder, the split, ethics and use.

https://huggingface.co/docs/hub/model-cards and Mitchell et al., Model Cards for Model
Reporting, 2019.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from classifier.model import CLASSIC, RIDGE, MailClassifier
from trainer.evaluate import Report
from trainer.fit import FitReport

BUNDLED = "intfloat/multilingual-e5-small"
_KNOWN_LICENCES = {
    "bundled": "MIT (Microsoft, multilingual-e5-small)",
    BUNDLED: "MIT (Microsoft, multilingual-e5-small)",
}
_TAGS = {RIDGE: "ridge-regression", CLASSIC: "frozen-encoder"}
USE = "## Use"
_USE_SECTION = re.compile(rf"^{USE}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_HUB_NAME = re.compile(r"\A[\w.-]+/[\w.-]+")
_PLAIN_FRONT = "---\nlibrary_name: transformers\npipeline_tag: text-classification\n---"


def front_matter(model: MailClassifier, report: FitReport, evaluation: Report | None) -> str:
    """The YAML block. The hub reads it; every value is written as JSON, which is YAML too."""
    fields: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "license": "other",
        "license_name": "personal-mail",
        "tags": ["inboxd", "email", "mail-filing", _TAGS[model.config.head]],
        "model-index": [{"name": "inboxd", "results": [_result(report, evaluation)]}],
    }
    base = _base_model(model.config.encoder)
    if base:
        fields["base_model"] = base
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _base_model(encoder: Mapping[str, Any]) -> str | None:
    source = str(encoder.get("source", ""))
    if source == "bundled":
        return BUNDLED
    return source if _HUB_NAME.fullmatch(source) else None


def _result(report: FitReport, evaluation: Report | None) -> dict[str, Any]:
    if evaluation is None:
        split, figures = "each mail from the mails before it", {"accuracy": report.accuracy}
    else:
        split = "newest tenth, learnt from the oldest eight"
        figures = {
            "accuracy": evaluation.accuracy.value,
            "f1": evaluation.macro_f1.value,
        }
    return {
        "task": {"type": "text-classification", "name": "Filing mail into folders"},
        "dataset": {"type": "private", "name": "One account's own mail", "split": split},
        "metrics": [
            {"type": name, "value": round(value, 4), "name": name.replace("f1", "macro F1")}
            for name, value in figures.items()
        ],
    }


def encoder_section(model: MailClassifier) -> str:
    """Which encoder, how it is used, and under which licence it stands."""
    encoder = model.config.encoder
    source = str(encoder.get("source", "unknown"))
    licence = _KNOWN_LICENCES.get(source, "see its own model card")
    shown = f"{BUNDLED} (as it comes with inboxd)" if source == "bundled" else source
    facts = ", ".join(
        f"{encoder[key]} {name}"
        for key, name in (
            ("layers", "layers"),
            ("hidden_size", "dimensions"),
            ("parameters", "parameters"),
        )
        if key in encoder
    )
    return (
        "## Encoder and licences\n\n"
        f"- encoder: {shown}{f', {facts}' if facts else ''}; "
        f"{encoder.get('pooling', 'masked mean')} of the last layer, prefix "
        f"`{encoder.get('prefix', '')}`, up to {encoder.get('max_tokens', '–')} tokens; "
        f"computed in {encoder.get('precision', 'float32')}\n"
        f"- licence of the encoder: {licence}\n"
        "- licence of the code: MIT (inboxd)\n"
        "- the head was made from private mail; it is its owner's, and not meant for publication"
    )


def split_section(evaluation: Report | None) -> str:
    """How mail was parted for the figures."""
    tested = (
        f"For the test the oldest 80 % of the mail taught, the next 10 % calibrated, and the "
        f"newest 10 % ({evaluation.mails} mails) were predicted; threads and near-duplicates never "
        "stand on both sides. "
        if evaluation is not None
        else ""
    )
    return (
        "## Split\n\n"
        f"{tested}The model itself has learnt all examples; its calibration and thresholds come "
        "from predictions of each mail by the mails before it. Nothing was split at random."
    )


def ethics_section() -> str:
    """Whom the model could harm, and how."""
    return (
        "## Ethics and privacy\n\n"
        "- Made from personal mail, by and for the owner of one mailbox. It holds no text, but "
        "folder names, and weights under hashes of words, addresses and lists: whoever has the "
        "file can test whether a word or an address occurred in that mail. Do not publish it.\n"
        "- It repeats its owner's habits, mistakes included, and treats senders as they were "
        "treated before. It was not made to judge people: applications, claims or complaints "
        "that are sorted by it need a person who looks at every folder.\n"
        "- A mail filed wrongly may be seen late. Do not let it sort what must be read in time."
    )


def head_only_use() -> str:
    """How the directory in the registry is used: not by itself."""
    return (
        f"{USE}\n\n"
        "This directory holds the head alone and belongs to inboxd (`inboxd classify mail.eml`). "
        "`inboxd models export DIRECTORY` writes one with the encoder that plain transformers "
        "can load."
    )


def exported_use(onnx: bool) -> str:
    """How an exported directory is used; the code block is run by a test as it stands."""
    text = f"""{USE}

Needs `pip install torch transformers selectolax` (selectolax for HTML mail only), not inboxd.
`trust_remote_code=True` runs the Python files of this directory: read them, or trust who made it.

```python
import sys
from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer

directory = sys.argv[1]  # this directory
tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
model = AutoModelForSequenceClassification.from_pretrained(directory, trust_remote_code=True)

for path in sys.argv[2:]:  # message files (.eml)
    for folder, probability in model.classify([Path(path).read_bytes()], tokenizer)[0]:
        print(f"{{probability:.4f}}\\t{{folder}}")
```

The probabilities are those of `inboxd classify`; they differ by what inboxd's precision on its
machine (see above) differs from float32. What is missing to 1 is "none of these folders"."""
    if onnx:
        text += """

`model.onnx` computes the calibrated logits from `input_ids`, `attention_mask`, the bag of sparse
features (`wide_indices`, `wide_values`, `wide_offsets`) and `parent` (−1 for none), named as in
`forward`. It was compared with the model in this directory before it was written."""
    return text


def with_use(card: str, use: str) -> str:
    """`card` with its section on use replaced, or added where there is none: cards of earlier
    versions have no such section, and no YAML block either."""
    if not card.startswith("---\n"):
        card = f"{_PLAIN_FRONT}\n\n{card}"
    found = _USE_SECTION.search(card)
    if found is None:
        return f"{card.rstrip()}\n\n{use}\n"
    return f"{card[: found.start()]}{use}\n\n{card[found.end() :]}".rstrip() + "\n"
