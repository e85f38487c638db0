"""Which device and which precision the encoder runs with.

On a CPU bfloat16 is up to three times as fast as float32, or several times slower, depending on
instructions that have many names (AVX512-BF16, AMX, Arm BF16). So it is measured, once for each
kind of CPU and version of torch, and the verdict is kept in the cache directory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classifier.encoder.errors import EncoderUnavailable
from classifier.encoder.files import read_json, write_atomically

VERDICTS = "cpu-precision.json"
PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_WORTH_IT = 1.15
"""bfloat16 costs a little accuracy, so it must be faster by more than noise."""
_SECONDS = 0.5
_PASSES = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CpuMeasurement:
    """Seconds for the same transformer layer in both precisions (the fastest of several)."""

    float32_seconds: float
    bfloat16_seconds: float

    @property
    def precision(self) -> str:
        """The name of the precision to use."""
        faster = self.float32_seconds > _WORTH_IT * self.bfloat16_seconds
        return "bfloat16" if faster else "float32"


def choose_device(wanted: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises `EncoderUnavailable` when it is unknown or this machine does not have it.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise _absent(wanted, "is not the name of a device") from error
    index = device.index or 0
    if device.type == "cuda" and index >= torch.cuda.device_count():
        raise _absent(wanted, "is not available: torch sees no such NVIDIA GPU")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise _absent(wanted, "is not available: this needs macOS on Apple silicon")
    if device.type not in {"cpu", "cuda", "mps"}:
        raise _absent(wanted, "is not supported")
    return device


def _absent(wanted: str, problem: str) -> EncoderUnavailable:
    return EncoderUnavailable(
        f"the encoder's device {wanted!r} {problem}",
        next_step='Set the device of the encoder to "auto" or "cpu".',
    )


def choose_precision(wanted: str, device: torch.device, cache_dir: Path) -> torch.dtype:
    """The precision for "auto" or one of `PRECISIONS`. Raises `EncoderUnavailable`."""
    if wanted in PRECISIONS:
        return PRECISIONS[wanted]
    if wanted != "auto":
        raise EncoderUnavailable(
            f"{wanted!r} is not a precision of the encoder",
            next_step=f"Use one of: auto, {', '.join(PRECISIONS)}.",
        )
    if device.type == "cpu":
        return PRECISIONS[_cpu_verdict(cache_dir)]
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


def _cpu_verdict(cache_dir: Path) -> str:
    """The kept verdict for this CPU and torch, or a new one, which is then kept."""
    path, key = cache_dir / VERDICTS, cpu_key()
    kept = read_json(path)
    verdicts: dict[str, Any] = kept if isinstance(kept, dict) else {}
    entry = verdicts.get(key)
    if isinstance(entry, dict) and entry.get("precision") in PRECISIONS:
        return str(entry["precision"])
    measured = measure_cpu()
    verdicts[key] = {"precision": measured.precision, **asdict(measured)}
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(verdicts, indent=2).encode())
    except OSError as error:
        # A read-only cache costs a short measurement at each start, nothing else.
        _log.info("precision not kept: %s", error, extra={"action": "encoder.precision"})
    return measured.precision


def cpu_key() -> str:
    """A name for this kind of CPU together with this torch.

    Virtual machines often hide the model ("Intel Xeon Processor"), so what the CPU can do
    goes into the key too.
    """
    wanted = {"model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant"}
    lines = {platform.machine(), platform.processor()}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        text = ""
    for line in text.splitlines():
        if line.partition(":")[0].strip() in wanted:
            lines.add(line)
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
    return f"{digest} torch {torch.__version__}"


@torch.inference_mode()
def measure_cpu(seconds: float = _SECONDS) -> CpuMeasurement:
    """Time a transformer layer of a small BERT in both precisions, by turns.

    By turns, so that another load on the machine hits both, and the fastest pass counts: on a
    busy machine most passes measure how threads wait for each other, and the verdict is kept.
    Takes about `seconds`, longer (to at least `_PASSES` each, at most four times that) when
    passes are slow.
    """
    generator = torch.Generator().manual_seed(0)
    layers = {}
    for name in ("float32", "bfloat16"):
        layers[name] = [
            torch.randn(shape, generator=generator).mul_(0.02).to(PRECISIONS[name])
            for shape in ((4, 128, 384), (1152, 384), (384, 384), (1536, 384), (384, 1536))
        ]
        _layer(*layers[name])  # the first call pays for loading kernels
    times: dict[str, list[float]] = {name: [] for name in layers}
    begun = time.perf_counter()
    while not times["float32"] or (
        (spent := time.perf_counter() - begun) < seconds
        or (len(times["float32"]) < _PASSES and spent < 4 * seconds)
    ):
        for name, tensors in layers.items():
            start = time.perf_counter()
            _layer(*tensors)
            times[name].append(time.perf_counter() - start)
    return CpuMeasurement(min(times["float32"]), min(times["bfloat16"]))


def _layer(x: Tensor, qkv: Tensor, out: Tensor, widen: Tensor, narrow: Tensor) -> Tensor:
    """One transformer layer with 12 heads, without biases: x is [batch, tokens, hidden]."""
    functional = torch.nn.functional
    batch, tokens, hidden = x.shape
    heads = functional.linear(x, qkv).view(batch, tokens, 3, 12, hidden // 12)
    query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [batch, heads, tokens, 32]
    mixed = functional.scaled_dot_product_attention(query, key, value)
    mixed = mixed.transpose(1, 2).reshape(batch, tokens, hidden)
    x = functional.layer_norm(x + functional.linear(mixed, out), (hidden,))
    wide = functional.gelu(functional.linear(x, widen))
    return functional.layer_norm(x + functional.linear(wide, narrow), (hidden,))
