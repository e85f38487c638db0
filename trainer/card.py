"""The model card: README.md in the model's directory, for whoever opens it later.

After Mitchell et al., Model Cards for Model Reporting, 2019. Figures only; no text of any mail,
but folder names.
"""

from __future__ import annotations

from datetime import datetime

from classifier.model import CLASSIC, MailClassifier
from trainer.evaluate import Figure, Report
from trainer.fit import FitReport, FitSettings
from trainer.hub_card import (
    encoder_section,
    ethics_section,
    front_matter,
    head_only_use,
    split_section,
)
from trainer.meaning import confusions, costs_in_words, meanings


def model_card(
    model: MailClassifier,
    report: FitReport,
    settings: FitSettings,
    *,
    created: datetime,
    evaluation: Report | None = None,
) -> str:
    """Markdown. `evaluation`: of the same settings on a split by time, if it was made."""
    sections = [
        front_matter(model, report, evaluation),
        _head(created),
        head_only_use(),
        _data(report),
        split_section(evaluation),
        encoder_section(model),
        _method(model, report, settings),
        _prequential(report),
        _meanings(model, report),
        _evaluation(evaluation) if evaluation else "",
        _folders(model, report),
        _limits(report),
        ethics_section(),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(created: datetime) -> str:
    return (
        "# A head that files mail\n\n"
        f"Made {created:%Y-%m-%d %H:%M %Z} from one account's own mail, for that account only."
    )


def _data(report: FitReport) -> str:
    left_out = f", {report.left_out} older ones left out" if report.left_out else ""
    return (
        "## Data\n\n"
        f"{report.examples} examples in {report.labels} places{left_out}. Every label was given "
        "by a person: mail found in a folder, moved there, or put back."
    )


def _method(model: MailClassifier, report: FitReport, settings: FitSettings) -> str:
    calibration = model.calibration
    how = _classic_method(model) if model.config.head == CLASSIC else _ridge_method(model, settings)
    return (
        f"## Method\n\n{how}\n"
        f"- scale {calibration.scale:.2f}, thread bonus {calibration.thread_bonus:.2f}, "
        f"logit of none of these {calibration.none_logit:.2f}\n"
        f"- features: `{model.config.featurizer_fingerprint}`\n"
        f"- fitted in {report.seconds:.1f} s"
    )


def _ridge_method(model: MailClassifier, settings: FitSettings) -> str:
    weights = ", ".join(f"{name} {value:g}" for name, value in model.config.block_weights.items())
    return (
        "Ridge regression on one-hot targets in closed form over the frozen encoder's vector "
        "and hashed lexical and header features.\n\n"
        f"- λ {settings.ridge_lambda:g}; block weights: {weights}\n"
        f"- {model.config.active_features} sparse features, {model.config.hidden_size} dense"
    )


def _classic_method(model: MailClassifier) -> str:
    told = model.config.training.get("classic", {})
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())
    return (
        "BERT's pooling layer (a dense layer and tanh), dropout and a linear layer over the frozen "
        "encoder's vector alone, trained by AdamW with warm-up and early stopping.\n\n"
        f"- dropout {model.config.dropout:g}{f'; {settings}' if settings else ''}\n"
        f"- {model.config.hidden_size} dimensions; no words, senders or lists"
    )


def _prequential(report: FitReport) -> str:
    quarters = ", ".join(f"{share:.1%}" for share in report.accuracy_by_quarter)
    moved = "none was moved" if report.moved_right is None else f"{report.moved_right:.1%}"
    return (
        "## Each mail predicted from the mails before it\n\n"
        f"- right, by quarter of the history: {quarters}\n"
        f"- last {report.window}: {report.accuracy:.1%} right, expected calibration error "
        f"{report.ece:.3f}\n"
        f"- above the confidence at which 95 % (98 %) are right: {report.coverage_95:.1%} "
        f"({report.coverage_98:.1%}) of the mails\n"
        f"- moved by itself, thresholds from older mail: {report.moved:.1%}, of these right: "
        f"{moved} (target {report.target_precision:.1%})"
    )


def _meanings(model: MailClassifier, report: FitReport) -> str:
    """The newest mails with all figures, their meaning, and the largest confusions."""
    if report.recent is None:
        return ""
    recent = report.recent.as_dict()
    names = dict(zip(model.label_set.keys, model.label_set.names, strict=True))
    lines = [
        f"## The last {report.recent.mails} of these, thresholds from older mail",
        "",
        "| figure | value | 95 % interval | meaning |",
        "|---|---:|---:|---|",
        *(f"| {m.name} | {m.value} | {m.interval} | {m.sentence} |" for m in meanings(recent)),
        "",
        *(f"- {_cell(sentence)}" for sentence in costs_in_words(recent, names)),
        *(
            f"- {c.mails} of {_cell(c.true)} taken for {_cell(c.predicted)}"
            for c in confusions(recent, names)[:10]
        ),
    ]
    return "\n".join(lines).rstrip()


def _cell(text: str) -> str:
    """A folder's name that cannot break table or list."""
    return text.replace("|", "\\|").replace("\n", " ")


def _evaluation(report: Report) -> str:
    rows = {
        "accuracy": report.accuracy,
        "macro F1": report.macro_f1,
        "moved by itself": report.coverage,
        "of these right": report.moved_precision,
    }
    lines = [f"- {name}: {_interval(figure)}" for name, figure in rows.items() if figure]
    auc = "undefined" if report.roc_auc is None else f"{report.roc_auc:.3f}"
    return (
        "## Newest tenth, learnt from the oldest eight\n\n"
        f"{report.mails} mails; {report.left_out} in threads or near-duplicates that cross a "
        "border of the split were left out. 95 % bootstrap intervals.\n\n"
        + "\n".join(lines)
        + f"\n- weighted F1 {report.weighted_f1:.3f}, ROC AUC {auc}, "
        f"expected calibration error {report.ece:.3f}"
    )


def _interval(figure: Figure) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def _folders(model: MailClassifier, report: FitReport) -> str:
    lines = [
        "## Folders",
        "",
        "| folder | examples | actual | predicted | right | moves from | estimated precision |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for label, one in report.per_label.items():
        limit = one.threshold
        start = "–" if limit.threshold is None else f"{limit.threshold:.3f}"
        name = _cell(model.label_set.name(label))
        lines.append(
            f"| {name} | {one.examples} | {one.actual} | {one.predicted} | {one.right} | {start} "
            f"| {limit.estimated_precision:.3f} |"
        )
    return "\n".join(lines)


def _limits(report: FitReport) -> str:
    return (
        "## Limits\n\n"
        "It knows the folders above and no others; the first mails of a new folder go wrong. "
        "The figures describe this account's past: when the mail changes, they change. "
        f"Thresholds aim at {report.target_precision:.1%} right moves over all folders together; "
        "a small folder's own precision is known badly. Probabilities are calibrated on the last "
        f"{report.window} predictions only."
    )
