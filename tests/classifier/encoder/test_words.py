"""Word embeddings that stay in half precision, in their file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from classifier.encoder import Encoder, EncoderUnavailable, load_encoder
from classifier.encoder.adapter import Adapter, adapted
from tests.support.stored_precision import rewrite
from tests.support.tiny_bert import HIDDEN_SIZE, tiny_bert_directory

HALVES = [torch.float16, torch.bfloat16]
QUERY = "encoder.layer.0.attention.self.query"
TEXTS = [
    "Rechnung",
    "Your invoice for March is attached, please pay the amount until Friday. " * 6,
    "",
    "Liebe Eltern, der Ausflug der Klasse ist am Mittwoch.",
]


def load(directory: Path, precision: str = "float32") -> Encoder:
    """The encoder in `directory` on the CPU."""
    return load_encoder(str(directory), directory / "cache", "cpu", precision=precision)


def words(encoder: Encoder) -> torch.Tensor:
    """The table as it is in memory."""
    table = encoder.module.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    return table


def twins(path: Path, half: torch.dtype, precision: str = "float32") -> tuple[Encoder, Encoder]:
    """The same numbers twice: from a file in half precision, and from one in float32."""
    short = rewrite(tiny_bert_directory(path / "short"), half)
    long = rewrite(tiny_bert_directory(path / "long"), half, torch.float32)
    return load(short, precision), load(long, precision)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_vectors_do_not_depend_on_where_the_rows_are_cast(
    half: torch.dtype, precision: str, tmp_path: Path
) -> None:
    """Not one bit differs, whatever the file holds and whatever is computed in."""
    short, long = twins(tmp_path, half, precision)

    assert words(short).dtype == half
    assert short.module.dtype == long.module.dtype == getattr(torch, precision)
    np.testing.assert_array_equal(short.encode(TEXTS), long.encode(TEXTS))
    assert short.describe()["parameters"] == long.describe()["parameters"]


@pytest.mark.parametrize("only", ["word_embeddings", "layer"])
def test_a_file_that_needs_float32_is_not_rounded(only: str, tmp_path: Path) -> None:
    """All weights in float32, or only some of them: they are loaded as ever."""
    exact = load(tiny_bert_directory(tmp_path / "exact"))
    mixed = load(rewrite(tiny_bert_directory(tmp_path / "mixed"), torch.float16, only=only))

    for encoder in (exact, mixed):
        assert isinstance(encoder.module.get_input_embeddings(), nn.Embedding)
        assert {p.dtype for p in encoder.module.parameters()} == {torch.float32}
    theirs = dict(exact.module.named_parameters())
    for name, tensor in mixed.module.named_parameters():
        rounded = theirs[name].half().float()
        assert torch.equal(tensor, rounded if only in name else theirs[name])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_table_is_not_copied_out_of_its_file(tmp_path: Path) -> None:
    """Its address lies in a mapping of the file, so its pages are shared and can be dropped."""
    directory = rewrite(tiny_bert_directory(tmp_path / "half"), torch.float16)
    table = words(load(directory))
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if start <= table.data_ptr() < end:
            assert line.endswith(str(directory / "model.safetensors"))
            return
    pytest.fail("the table lies nowhere")


def test_a_tuned_encoder_shares_the_table(tmp_path: Path) -> None:
    """Accounts with an adapter cost their changed matrices only, in half precision too."""
    base, _ = twins(tmp_path, torch.float16)
    narrow = torch.randn((2, HIDDEN_SIZE), generator=torch.Generator().manual_seed(3))

    tuned = adapted(base, Adapter(base.fingerprint, "tuned", 1.0, {QUERY: (narrow, narrow.T)}))

    assert words(tuned).data_ptr() == words(base).data_ptr()
    theirs = {tensor.data_ptr() for tensor in base.module.parameters()}
    own = [n for n, t in tuned.module.named_parameters() if t.data_ptr() not in theirs]
    assert own == [f"{QUERY}.weight"]
    assert np.abs(tuned.encode(TEXTS) - base.encode(TEXTS)).max() > 0.01


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """As before, with the directory and what to do."""
    directory = rewrite(tiny_bert_directory(tmp_path / "half"), torch.float16)
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EncoderUnavailable, match="cannot be loaded"):
        load(directory)


@pytest.mark.encoder
def test_the_bundled_table_is_kept_in_half_precision(real_encoder: Encoder) -> None:
    """And its vectors are those of the table in float32, to the last bit."""
    found = real_encoder.encode(TEXTS)
    kept = real_encoder.module.get_input_embeddings()
    assert words(real_encoder).dtype == torch.float16
    assert real_encoder.describe()["precision"] == "float32"
    try:
        table = words(real_encoder).float()
        plain = nn.Embedding(table.shape[0], table.shape[1], _weight=table)
        real_encoder.module.set_input_embeddings(plain)
        np.testing.assert_array_equal(found, real_encoder.encode(TEXTS))
    finally:
        real_encoder.module.set_input_embeddings(kept)
