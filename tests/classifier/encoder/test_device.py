"""Device and precision: asked for, measured, kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from classifier.encoder import EncoderUnavailable
from classifier.encoder.device import (
    PRECISIONS,
    VERDICTS,
    CpuMeasurement,
    choose_device,
    choose_precision,
    cpu_key,
    measure_cpu,
)

CPU = torch.device("cpu")


def test_auto_takes_what_the_machine_has() -> None:
    """CUDA before MPS before CPU."""
    expected = "cpu"
    if torch.backends.mps.is_available():
        expected = "mps"
    if torch.cuda.is_available():
        expected = "cuda"
    assert choose_device("auto").type == expected


def test_cpu_is_always_there() -> None:
    """Asking for the CPU works everywhere."""
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("wanted", ["cuda:99", "tpu", "", "meta"])
def test_a_device_that_is_not_there_is_refused(wanted: str) -> None:
    """A device by name never falls back silently to another one."""
    with pytest.raises(EncoderUnavailable) as caught:
        choose_device(wanted)
    assert repr(wanted) in str(caught.value)
    assert '"auto"' in caught.value.next_step


@pytest.mark.parametrize("name", sorted(PRECISIONS))
def test_a_precision_by_name_is_taken_unmeasured(tmp_path: Path, name: str) -> None:
    """No measurement and no file when the user decided."""
    assert choose_precision(name, CPU, tmp_path) == PRECISIONS[name]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    """The error lists the names there are."""
    with pytest.raises(EncoderUnavailable) as caught:
        choose_precision("int8", CPU, tmp_path)
    assert "bfloat16" in caught.value.next_step


def test_bfloat16_must_be_faster_by_more_than_noise() -> None:
    """At equal speed the exact precision wins."""
    assert CpuMeasurement(1.0, 0.4).precision == "bfloat16"
    assert CpuMeasurement(1.0, 0.95).precision == "float32"
    assert CpuMeasurement(1.0, 30.0).precision == "float32"


def test_the_measurement_times_both_precisions() -> None:
    """Both were really run; which one wins depends on the machine."""
    measured = measure_cpu(seconds=0)
    assert measured.float32_seconds > 0
    assert measured.bfloat16_seconds > 0


def test_the_verdict_is_kept_and_used_again(tmp_path: Path) -> None:
    """The file holds the verdict for this CPU, and a second start believes it."""
    cache = tmp_path / "cache"
    first = choose_precision("auto", CPU, cache)
    kept = json.loads((cache / VERDICTS).read_text())
    assert PRECISIONS[kept[cpu_key()]["precision"]] == first
    other = "float32" if first == torch.bfloat16 else "bfloat16"
    (cache / VERDICTS).write_text(json.dumps({cpu_key(): {"precision": other}}))
    assert choose_precision("auto", CPU, cache) == PRECISIONS[other]


def test_the_verdict_of_another_cpu_is_kept_beside_the_own(tmp_path: Path) -> None:
    """Two machines may share the cache; each believes only its own measurement."""
    foreign = {"other torch 1": {"precision": "float16"}}
    (tmp_path / VERDICTS).write_text(json.dumps(foreign))
    assert choose_precision("auto", CPU, tmp_path) != torch.float16
    assert set(json.loads((tmp_path / VERDICTS).read_text())) == {"other torch 1", cpu_key()}


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}'])
def test_a_broken_verdict_file_is_measured_anew(tmp_path: Path, content: str) -> None:
    """The verdict can always be had again, so its file is never a reason to stop."""
    (tmp_path / VERDICTS).write_text(content)
    choose_precision("auto", CPU, tmp_path)
    assert cpu_key() in json.loads((tmp_path / VERDICTS).read_text())


def test_a_cache_that_cannot_be_written_only_costs_the_measurement(tmp_path: Path) -> None:
    """Without a place to keep it the verdict is still given."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert choose_precision("auto", CPU, blocked / "cache") in PRECISIONS.values()
