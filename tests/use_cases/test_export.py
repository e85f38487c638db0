"""Models as directories that work without inboxd."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from classifier.encoder import load_encoder
from classifier.encoder.device import VERDICTS, cpu_key
from classifier.model import MailClassifier, MailClassifierConfig
from daemon.errors import NotFound
from daemon.export.directory import exported_files, exported_model
from daemon.export.sources import exported_sources
from daemon.use_cases.application import Application
from daemon.use_cases.classify import classify
from daemon.use_cases.export import export_model
from daemon.use_cases.learn import learn
from tests.support.stored_precision import rewrite
from tests.support.tiny_bert import HIDDEN_SIZE, tiny_bert_directory
from tests.use_cases.apps import ACCOUNT, TOPICS, closing, filled_server, make_app, topical

HTML_MAIL = (
    b"From: buchung@reise.example\r\nSubject: =?utf-8?q?Re=3A_Buchung_best=C3=A4tigt?=\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>Ihr <b>Flug</b> und Hotel</p><blockquote>Wann kommt die Karte?</blockquote>\r\n"
)
NEW = {
    **{name.lower(): topical(name, 90) for name in TOPICS},
    "html": HTML_MAIL,
    "empty": b"\r\n",
}


@pytest.fixture(scope="module")
def app(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The program with a model, its encoder in float32 as in an export."""
    state = tmp_path_factory.mktemp("exporting") / "state"
    verdict = state / "encoder" / VERDICTS
    verdict.parent.mkdir(parents=True)
    verdict.write_text(json.dumps({cpu_key(): {"precision": "float32"}}))
    with closing(make_app(state, encoder, {ACCOUNT: filled_server()})) as found:
        learn(found, ACCOUNT)
        yield found


@pytest.fixture(scope="module")
def exported(app: Application, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of that model."""
    directory = tmp_path_factory.mktemp("exports") / "my-model"
    export_model(app, ACCOUNT, directory)
    return directory


def clean_python(directory: Path) -> Path:
    """An environment with our packages behind its own, but without inboxd: its .pth names the
    directory of packages, in which an editable inboxd is a .pth file that is not read."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(directory)], check=True
    )
    library = next((directory / "lib").glob("python*")) / "site-packages"
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (library / "packages.pth").write_text("\n".join(sorted(own)) + "\n")
    return directory / "bin" / "python"


def code_of(card: str) -> str:
    """The Python block of a model card."""
    found = re.search(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_card_s_code_gives_the_same_probabilities_without_inboxd(
    app: Application, exported: Path, tmp_path: Path
) -> None:
    """In a clean environment, from another directory, with the model moved and inboxd away."""
    python = clean_python(tmp_path / "venv")
    paths = []
    for name, content in NEW.items():
        paths.append(tmp_path / f"{name}.eml")
        paths[-1].write_bytes(content)
    script = tmp_path / "script.py"
    script.write_text(code_of((exported / "README.md").read_text(encoding="utf-8")))

    absent = subprocess.run(
        [python, "-c", "import classifier"], cwd=tmp_path, capture_output=True, check=False
    )
    done = subprocess.run(
        [python, script, exported, *paths],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert b"No module named 'classifier'" in absent.stderr
    assert done.returncode == 0, done.stderr
    said = [line.split("\t") for line in done.stdout.splitlines()]
    expected = [
        (probability, folder)
        for one in classify(app, ACCOUNT, list(NEW.items()))
        for folder, probability in one.ranked
    ]
    assert [folder for _, folder in said] == [folder for _, folder in expected]
    assert [float(p) for p, _ in said] == pytest.approx([p for p, _ in expected], abs=2e-3)


def test_the_exported_code_is_the_source_that_runs_here() -> None:
    """All lines but those of imports are those of our modules, so nothing can drift."""
    sources = exported_sources()

    assert {"modeling_inboxd.py", "configuration_inboxd.py", "inboxd_text.py"} <= set(sources)
    root = Path(__file__).resolve().parents[2]
    for name, text in sources.items():
        module = re.search(r"from its module (\S+) ", text.splitlines()[0])
        assert module is not None
        original = (root / f"{module[1].replace('.', '/')}.py").read_text(encoding="utf-8")
        ours = {line for line in original.splitlines() if "import" not in line}
        assert ours <= {*text.splitlines(), ")", ""} | {line for line in ours if "," in line}, name
        assert not re.search(r"^\s*(from|import) (classifier|daemon|trainer)\b", text, re.MULTILINE)


def test_an_export_is_private_complete_and_explained(exported: Path) -> None:
    """Nobody else may read it; the card has what the hub and a reader look for."""
    card = (exported / "README.md").read_text(encoding="utf-8")

    assert exported.stat().st_mode & 0o077 == 0
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in exported.iterdir()
    }
    assert card.startswith("---\nlibrary_name: ")
    for heading in ("Use", "Data", "Split", "Encoder and licences", "Limits", "Ethics and privacy"):
        assert f"\n## {heading}\n" in card


def test_word_embeddings_in_half_precision_are_exported_alike(tmp_path: Path) -> None:
    """The same numbers in a file of float16 and of float32 give the same weights, byte by byte."""
    short = rewrite(tiny_bert_directory(tmp_path / "short"), torch.float16)
    long = rewrite(tiny_bert_directory(tmp_path / "long"), torch.float16, torch.float32)
    head = MailClassifier(
        MailClassifierConfig(labels=["a", "b"], label_names=["A", "B"], hidden_size=HIDDEN_SIZE)
    )
    found = []
    for source in (short, long):
        encoder = load_encoder(str(source), tmp_path, "cpu", precision="float32")
        model = exported_model(head, encoder)
        assert {tensor.dtype for tensor in model.encoder.parameters()} == {torch.float32}
        found.append(exported_files(model, source, "card"))
    assert found[0]["model.safetensors"] == found[1]["model.safetensors"]
    assert found[0]["config.json"] == found[1]["config.json"]


def test_an_onnx_graph_computes_what_the_model_computes(app: Application, tmp_path: Path) -> None:
    """Compared by ONNX Runtime in batches of several sizes before it is written."""
    found = export_model(app, ACCOUNT, tmp_path / "model", onnx=True)

    assert found.onnx is not None
    assert found.onnx.largest_difference <= found.onnx.tolerance
    assert (tmp_path / "model" / "model.onnx").stat().st_size > 10_000
    assert "model.onnx" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_an_existing_directory_is_never_written_to(app: Application, tmp_path: Path) -> None:
    """Not even an empty one: it may be the wrong one."""
    with pytest.raises(NotFound, match="exists already"):
        export_model(app, ACCOUNT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_exist_cannot_be_exported(app: Application, tmp_path: Path) -> None:
    """By a version that nobody has trained."""
    with pytest.raises(NotFound, match="has no model"):
        export_model(app, ACCOUNT, tmp_path / "new", version="20200101T000000Z")
    assert not (tmp_path / "new").exists()
