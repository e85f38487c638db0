"""The figures of docs/how-it-works.md, and the numbers it quotes, from the demo mailbox.

    python -m bench.figures [--write docs/figures] [--cache DIR]

Everything is made by the program's own code: text preparation, encoder, replay, fit, explain.
Time stands still, the encoder runs in float32 on the CPU, and the random splits are seeded, so
every run draws the same pictures, but for rounding on other processors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.figures import measure, pictures
from bench.figures.demo import STORY, read_demo
from classifier.encoder import Encoder, load_encoder
from daemon.config.settings import default_cache_dir
from daemon.use_cases.learning_curve import learning_curve
from trainer.replay import ReplaySettings, replay


def main() -> None:
    """Print the numbers; with --write put them and the pictures into a directory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    options = parser.parse_args()
    encoder = load_encoder("bundled", options.cache, "cpu", precision="float32")
    drawn, numbers = draw(encoder)
    text = json.dumps(rounded(numbers), indent=1, ensure_ascii=False) + "\n"
    print(text)
    if options.write is not None:
        options.write.mkdir(parents=True, exist_ok=True)
        (options.write / "numbers.json").write_text(text, encoding="utf-8")
        for name, picture in drawn.items():
            (options.write / f"{name}.svg").write_text(picture, encoding="utf-8")


def rounded(value: Any) -> Any:
    """JSON values with four places: more would differ from one processor to the next."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def draw(encoder: Encoder) -> tuple[dict[str, str], measure.Numbers]:
    """SVG by name, and all numbers that the pages quote (JSON values)."""
    demo = read_demo(encoder)
    lived = replay(demo.filed, ReplaySettings(skip=measure.SKIP))
    scored = lived.steps[measure.SKIP :]
    tokens = measure.tokens(encoder, demo.mails[STORY])
    reasons, story = measure.explained(demo)
    groups = measure.reliability(scored)
    drawn = {
        "tokens": pictures.tokens(tokens),
        "confusion": pictures.confusion(*measure.confusion(scored)),
        "reliability": pictures.reliability(groups),
        "learning-curve": learning_curve(lived.steps, measure.SKIP),
        "decision": pictures.decision(reasons, story),
    }
    numbers = {
        "encoder": measure.size_of(encoder),
        "tokens_of_the_story": len(tokens),
        "replay": measure.figures_of(lived),
        "confusion": measure.confusion_numbers(scored),
        "reliability": groups,
        "confidence_by_quarter": measure.confidence_by_quarter(scored),
        "sureness_auc": measure.sureness_auc(scored),
        "fitting": measure.fitting(demo),
        "ablation": measure.ablation(demo),
        "splits": measure.splits(demo),
        "story": {**story, "thread": measure.story_thread(demo, lived.steps)},
        **measure.final_model(demo),
    }
    return drawn, numbers
