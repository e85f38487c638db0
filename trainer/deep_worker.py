"""The subprocess that tunes an encoder: `python -m trainer.deep_worker`, a job on standard input.

    in    one line: {"encoder", "cache_dir", "device", "max_tokens", "base", "directory",
                     "settings", "classes", "texts": n, "tensorboard": path or null}
          n lines:  {"key", "text", "label" (−1: not a class), "part", "vector" (base64, float16)}
    out   {"event": "stage" | "step" | "point" | "encode" | "done" | "failed", …}

It is a process of its own so that it can have a low priority, few threads and a cap on memory,
and so that what it takes is given back. Texts are held in memory only. When its input ends, the
parent is gone or wants no more, and it exits at once.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifier.encoder import Encoder
    from trainer.curves import CurvePoint
    from trainer.finetune import TextExample

TUNED, VECTORS = "tuned", "vectors.safetensors"
PARENT_GONE = 3
Say = Callable[..., None]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What was read from standard input."""

    header: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]

    @property
    def directory(self) -> Path:
        """Where checkpoints and results go."""
        return Path(self.header["directory"])

    def examples(self, part: str) -> list[TextExample]:
        """The texts of one part."""
        import numpy as np  # noqa: PLC0415 - after the limits are set

        from trainer.finetune import TextExample  # noqa: PLC0415

        return [
            TextExample(
                row["text"],
                row["label"],
                np.frombuffer(base64.b64decode(row["vector"]), np.float16).astype(np.float32),
            )
            for row in self.rows
            if row["part"] == part
        ]


def main() -> None:
    """Read the job, do it, say how it went."""
    limits = _limited()
    pipe = _take_standard_output()

    def say(event: str, **facts: Any) -> None:
        pipe.write(json.dumps({"event": event, **facts}) + "\n")
        pipe.flush()

    try:
        job = read_job(sys.stdin.buffer)
        threading.Thread(target=_exit_with_parent, daemon=True).start()
        say("done", **work(job, limits.threads, say))
    except BrokenPipeError:
        os._exit(PARENT_GONE)
    except Exception as error:  # noqa: BLE001 - the parent must hear of every end
        say("failed", **_facts_of(error))
        pipe.flush()
        os._exit(1)
    os._exit(0)  # at once: the thread that watches the parent blocks in a read


def read_job(pipe: IO[bytes]) -> Job:
    """The header and its texts. Raises `EOFError` when the input ends before."""
    header = _line(pipe)
    return Job(header, tuple(_line(pipe) for _ in range(header["texts"])))


def work(job: Job, threads: int, say: Say) -> dict[str, Any]:
    """Tune (unless an earlier process has finished that), then read all texts anew."""
    import torch  # noqa: PLC0415 - after the limits are set

    from classifier.manifest import MANIFEST, read_manifest  # noqa: PLC0415

    torch.set_num_threads(threads)
    tuned = job.directory / TUNED
    if not (tuned / MANIFEST).is_file():
        say("stage", stage="load")
        _tune(job, tuned, say)
    _read_anew(job, tuned, say)
    facts = read_manifest(tuned)["training"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**facts, "peak_mb": round(peak / (1024 if sys.platform == "linux" else 1024**2))}


def _tune(job: Job, target: Path, say: Say) -> None:
    from classifier.encoder.adapter import save_adapter  # noqa: PLC0415 - after the limits are set
    from classifier.encoder.device import choose_precision  # noqa: PLC0415
    from trainer.finetune import Watch, finetune  # noqa: PLC0415
    from trainer.steps import DeepSettings  # noqa: PLC0415
    from trainer.tensorboard import curve_log  # noqa: PLC0415

    encoder = _encoder(job, "float32")
    best = choose_precision("auto", encoder.device, Path(job.header["cache_dir"]))
    with curve_log(job.header["tensorboard"]) as log_point:

        def on_point(point: CurvePoint) -> None:
            log_point(point)
            say("point", **asdict(point))

        watch = Watch(lambda done, total: say("step", done=done, total=total), on_point)
        outcome = finetune(
            encoder,
            job.examples("train"),
            job.examples("validation"),
            DeepSettings(**job.header["settings"]),
            job.directory,
            bf16=str(best) == "torch.bfloat16",
            watch=watch,
        )
    save_adapter(
        target,
        outcome.tensors,
        outcome.config,
        base=job.header["base"],
        manifest={
            "created": datetime.now(UTC).isoformat(),
            "seen": [row["key"] for row in job.rows if row["part"] == "train"],
            "training": {
                "curves": outcome.curves.as_dict(),
                "trainable": outcome.trainable,
                "steps": outcome.steps,
                "timed_out": outcome.timed_out,
                "settings": dict(job.header["settings"]),
            },
        },
    )


def _read_anew(job: Job, tuned: Path, say: Say) -> None:
    """Vectors of all texts by the tuned encoder, exactly as serving will make them."""
    import numpy as np  # noqa: PLC0415 - after the limits are set
    import safetensors.numpy  # noqa: PLC0415

    from classifier.encoder.adapter import adapted, load_adapter  # noqa: PLC0415

    encoder = adapted(_encoder(job, "auto"), load_adapter(tuned))
    total = len(job.rows)
    vectors = encoder.encode(
        [row["text"] for row in job.rows], lambda done: say("encode", done=done, total=total)
    )
    part = job.directory / f"{VECTORS}.part"
    safetensors.numpy.save_file({"vectors": vectors.astype(np.float16)}, part)
    part.replace(job.directory / VECTORS)


def _encoder(job: Job, precision: str) -> Encoder:
    """The base encoder. Raises `ValueError` when it is not the one the job is about."""
    from classifier.encoder import load_encoder  # noqa: PLC0415 - after the limits are set

    header = job.header
    encoder = load_encoder(
        header["encoder"],
        Path(header["cache_dir"]),
        header["device"],
        max_tokens=header["max_tokens"],
        precision=precision,
    )
    if encoder.fingerprint != header["base"]:
        raise ValueError("the encoder has changed since the job was planned")
    return encoder


def _limited() -> argparse.Namespace:
    """Lower this process's priority and cap its memory, before anything large is loaded.

    RLIMIT_DATA counts private writable memory (Linux 4.7 and later); the address space itself is
    not capped, since torch and CUDA reserve far more of it than they use.
    """
    parser = argparse.ArgumentParser(prog="trainer.deep_worker")
    parser.add_argument("--nice", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    limits = parser.parse_args()
    os.umask(0o077)
    os.nice(limits.nice)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = limits.memory_mb * 1024**2
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold texts
    return limits


def _take_standard_output() -> IO[str]:
    """Our own way out; what libraries print goes nowhere, so that it cannot break the protocol."""
    own = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    return os.fdopen(own, "w", encoding="utf-8")


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(PARENT_GONE)


def _line(pipe: IO[bytes]) -> dict[str, Any]:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the job is incomplete")
    document: dict[str, Any] = json.loads(line)
    return document


def _facts_of(error: Exception) -> dict[str, Any]:
    """The kind of an error and where it arose; its text only when it is ours and holds no mail."""
    where = [f"{Path(f.filename).name}:{f.lineno}" for f in extract_tb(error.__traceback__)][-6:]
    next_step = getattr(error, "next_step", None)
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return {"kind": "memory", "where": where}
    if next_step is None and _memory_is_short():
        return {"kind": "memory", "where": where}
    facts = {"kind": type(error).__name__, "where": where}
    return facts if next_step is None else {**facts, "message": str(error), "next_step": next_step}


def _memory_is_short() -> bool:
    """Whether most of what `_limited` allows is in use.

    A library that gets no memory says so in its own way: an ImportError, a SystemError without a
    text. Linux only (proc(5), statm: the sixth number is data and stack, in pages).
    """
    cap, _ = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except (OSError, ValueError, IndexError):
        return False
    return cap != resource.RLIM_INFINITY and pages * resource.getpagesize() > 0.75 * cap


if __name__ == "__main__":
    main()
