"""Model directories: complete or not at all, checked before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from classifier.artifact import CONFIG, WEIGHTS, ArtifactBroken, load_model, save_model
from classifier.manifest import MANIFEST, read_listed, read_manifest
from classifier.model import MailClassifier
from tests.classifier.models import examples, small_model


@pytest.fixture(scope="module")
def model() -> MailClassifier:
    return small_model()


@pytest.fixture
def saved(model: MailClassifier, tmp_path: Path) -> Path:
    directory = tmp_path / "20250101T000000Z"
    save_model(model, directory, manifest={"created": "2025"}, files={"README.md": "# Größe"})
    return directory


def rewrite(directory: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file and make the manifest agree, as a well-meaning editor would."""
    data = change((directory / name).read_bytes())
    (directory / name).write_bytes(data)
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_loaded_model_predicts_exactly_what_the_saved_one_did(
    model: MailClassifier, saved: Path
) -> None:
    """Probabilities, thresholds, names and fingerprint come back."""
    again = load_model(saved)
    contents = [one.features for one in examples()]
    assert again.predict(contents, [None] * 90) == model.predict(contents, [None] * 90)
    assert again.thresholds == model.thresholds
    assert again.label_set == model.label_set
    assert again.config.featurizer_fingerprint == model.config.featurizer_fingerprint


def test_manifest_and_extra_files_can_be_read_without_the_model(saved: Path) -> None:
    """What the status page and the gate look at."""
    assert read_manifest(saved)["created"] == "2025"
    assert read_listed(saved, "README.md").decode() == "# Größe"
    with pytest.raises(ArtifactBroken, match=r"no held_out\.json"):
        read_listed(saved, "held_out.json")


def test_only_the_owner_may_read(saved: Path) -> None:
    """Weights tell which words and senders somebody's mail has."""
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in saved.iterdir()} == {0o600}


def test_wide_weights_are_stored_in_half_precision_and_no_encoder_with_them(
    saved: Path,
) -> None:
    """Small enough to keep ten of them."""
    tensors = safetensors.torch.load_file(saved / WEIGHTS)
    assert tensors["wide_weight"].dtype == torch.float16
    assert set(tensors) == {"wide_weight", "deep_weight", "active", "idf", "centre"}


def test_an_existing_version_is_never_overwritten(model: MailClassifier, saved: Path) -> None:
    """Versions are immutable."""
    with pytest.raises(FileExistsError):
        save_model(model, saved, manifest={})


def test_a_run_that_was_killed_leaves_nothing_that_looks_finished(
    model: MailClassifier, tmp_path: Path
) -> None:
    """A directory written to the side is replaced by the next run."""
    part = tmp_path / "v.part"
    part.mkdir()
    (part / "half a file").write_text("…")
    save_model(model, tmp_path / "v", manifest={})
    assert not part.exists()
    assert not (tmp_path / "v" / "half a file").exists()


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, "README.md"])
def test_every_damaged_file_is_noticed(saved: Path, name: str) -> None:
    """One flipped bit in any listed file."""
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ArtifactBroken, match=name):
        load_model(saved)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, MANIFEST])
def test_a_missing_file_is_noticed(saved: Path, name: str) -> None:
    """An unfinished copy of a directory is no model."""
    (saved / name).unlink()
    with pytest.raises(ArtifactBroken):
        load_model(saved)


def test_another_format_is_refused_by_its_number(saved: Path) -> None:
    """A newer version's directory is not half understood."""
    manifest = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ArtifactBroken, match="format 99"):
        load_model(saved)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"files": 3}'])
def test_a_manifest_that_is_none_is_refused(saved: Path, content: bytes) -> None:
    """Whatever lies there in its place."""
    (saved / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactBroken):
        load_model(saved)


def test_nothing_is_ever_unpickled(saved: Path, tmp_path: Path) -> None:
    """A pickle in place of the weights, hash and all, runs nothing."""
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (trap,)

    rewrite(saved, WEIGHTS, lambda _: pickle.dumps(Trap()))
    with pytest.raises(ArtifactBroken, match="usable"):
        load_model(saved)
    assert not trap.exists()


def test_a_manifest_cannot_reach_outside_its_directory(saved: Path) -> None:
    """Names are names, not paths; links are not followed."""
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["files"]["../secret"] = manifest["files"][CONFIG]
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactBroken, match="elsewhere"):
        load_model(saved)
    (saved / "README.md").unlink()
    (saved / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactBroken):
        read_listed(saved, "README.md")


def test_weights_that_do_not_fit_the_configuration_are_refused(saved: Path) -> None:
    """Fewer labels in the configuration than columns in the weights."""

    def without_a_label(data: bytes) -> bytes:
        config = json.loads(data)
        return json.dumps({**config, "labels": config["labels"][:2]}).encode()

    rewrite(saved, CONFIG, without_a_label)
    with pytest.raises(ArtifactBroken, match="usable"):
        load_model(saved)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [("deep_weight", float("nan"), "finite"), ("active", 0, "order")],
)
def test_tensors_that_cannot_be_right_are_refused(
    saved: Path, name: str, value: float, word: str
) -> None:
    """Not-a-number weights, feature keys out of order."""

    def spoil(data: bytes) -> bytes:
        tensors = safetensors.torch.load(data)
        tensors[name][-1] = value
        return safetensors.torch.save(tensors)

    rewrite(saved, WEIGHTS, spoil)
    with pytest.raises(ArtifactBroken, match=word):
        load_model(saved)
