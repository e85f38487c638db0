"""What the encoder takes: memory, and time in float32 against bfloat16, by batch size.

    python -m bench.encoder [--cache DIR] [--repeats 7] [--threads 2] [--source bundled]
    python -m bench.encoder --memory    its memory only (Linux)

Figures are medians of interleaved repeats, so that another load on the machine hits all
settings alike; the ratio of two settings is the median of the ratios within each repeat. On a
busy machine give fewer threads than cores: threads that wait for each other measure nothing.
Mails are made of seeded random words and cut to exactly the length that is measured.

Memory is that of a new process, which has imported what it needs, then loads the encoder, reads
mails of a few words and reads mails of random pieces of the whole vocabulary, the worst that can
happen to a table of word embeddings that is mapped. "Of files" are pages that the system can drop
and read again; the rest it can only swap out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from classifier.encoder import load_encoder
from classifier.encoder.locate import bundled_directory

WORDS = """
Rechnung invoice Besprechung meeting Kontoauszug statement Bestellung order Lieferung delivery
Versicherung insurance Ausflug booking Reise flight angefügt attached bitte please Grüße regards
Kündigung contract Überweisung payment Termin newsletter
"""
LENGTHS = (128, 256)
BATCHES = (1, 4, 8, 16, 32)
PRECISIONS = ("float32", "bfloat16")
MAILS = 32
MAILS_IN_MEMORY = 50


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", default="bundled")
    parser.add_argument("--cache", type=Path, default=Path(".cache/encoder"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true", help="the memory only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    if sys.platform == "linux":
        for precision in PRECISIONS:
            arguments = (options.source, options.cache, precision, options.threads)
            context = multiprocessing.get_context("spawn")  # a fork would start with our memory
            process = context.Process(target=memory, args=arguments)
            process.start()
            process.join()
    if options.memory:
        return
    if options.source == "bundled":
        with tempfile.TemporaryDirectory() as directory:
            seconds = timed(lambda: bundled_directory(Path(directory)))
        print(f"conversion of the bundled encoder: {seconds:.1f} s")
    for length in LENGTHS:
        compare(options.source, options.cache, length, options.repeats)


def memory(source: str, cache: Path, precision: str, threads: int) -> None:
    """What this process, which should be new, takes on the way to an encoder that has read."""
    torch.set_num_threads(threads)
    print(f"\n{precision:34} resident   of files   at most so far")
    say_resident("imports")
    encoder = load_encoder(source, cache, "cpu", max_tokens=LENGTHS[0], precision=precision)
    say_resident("encoder loaded")
    encoder.encode(mails(MAILS_IN_MEMORY, LENGTHS[0]))
    say_resident(f"{MAILS_IN_MEMORY} mails of few words")
    generator = random.Random(7)  # noqa: S311 - not for secrets
    every = range(encoder.module.config.vocab_size)
    rows = [generator.choices(every, k=LENGTHS[0]) for _ in range(MAILS_IN_MEMORY)]
    encoder.encode([str(encoder.tokenizer.decode(row)) for row in rows])
    say_resident(f"{MAILS_IN_MEMORY} mails of the whole vocabulary")


def say_resident(when: str) -> None:
    """Print what /proc/self/status says (proc(5)), in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = {key: int(kb) for key, kb in re.findall(r"^(\w+):\s+(\d+) kB$", status, re.MULTILINE)}
    resident, files, peak = (found[key] / 1024 for key in ("VmRSS", "RssFile", "VmHWM"))
    print(f"{when:34} {resident:8.0f} {files:10.0f} {peak:16.0f}", flush=True)


def compare(source: str, cache: Path, length: int, repeats: int) -> None:
    """All precisions and batch sizes at one length of mail."""
    encoders = {}
    for precision in PRECISIONS:
        start = time.perf_counter()
        encoders[precision] = load_encoder(
            source, cache, "cpu", max_tokens=length, precision=precision
        )
        print(f"loading in {precision}: {time.perf_counter() - start:.1f} s")
    texts = mails(MAILS, length)
    times: dict[tuple[str, int], list[float]] = {}
    for repeat in range(repeats + 1):
        for precision, encoder in encoders.items():
            for rows in BATCHES:
                encoder.tokens_per_batch = rows * length
                seconds = timed(partial(encoder.encode, texts))
                if repeat:  # the first round warms up
                    times.setdefault((precision, rows), []).append(seconds)
    print(f"\n{length} tokens   mails a batch   float32 mails/s   bfloat16 mails/s   ratio")
    for rows in BATCHES:
        full, half = times["float32", rows], times["bfloat16", rows]
        ratio = statistics.median(a / b for a, b in zip(full, half, strict=True))
        speeds = (MAILS / statistics.median(full), MAILS / statistics.median(half))
        print(f"{rows:26} {speeds[0]:17.1f} {speeds[1]:18.1f} {ratio:7.2f}")
    print()


def mails(count: int, length: int) -> list[str]:
    """`count` texts of at least `length` tokens (a word is at least one)."""
    words = WORDS.split()
    generator = random.Random(7)  # noqa: S311 - not for secrets
    return [" ".join(generator.choices(words, k=length)) for _ in range(count)]


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall-clock time that `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
