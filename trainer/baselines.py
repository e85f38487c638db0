"""What a simpler learner would have done with the same mail in the same order.

scikit-learn is needed (the `dev` extra); nothing else in the program uses it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from trainer.replay import ReplayReport, Step, summarise

REFIT_EVERY = 10


def baselines(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    skip: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, ReplayReport]:
    """Replay reports of the baselines, by name; only their forced decisions mean anything.

    TF-IDF over words 1–2 with a linear SVM (Joachims, Text Categorization with Support Vector
    Machines, 1998), and multinomial naive Bayes over word counts (McCallum and Nigam 1998),
    both refitted every ten mails. Raises `ImportError` without scikit-learn.
    """
    makers = {"tfidf_svm": _tfidf_svm, "naive_bayes": _naive_bayes}
    found = {}
    for number, (name, make) in enumerate(makers.items()):
        done = number * len(texts)

        def report(step: int, done: int = done) -> None:
            progress(done + step, len(makers) * len(texts))

        found[name] = _replay(make, texts, labels, skip, report)
    return found


def _tfidf_svm() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - dev extra
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.svm import LinearSVC  # noqa: PLC0415

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(vectorizer, LinearSVC())


def _naive_bayes() -> Any:
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 - dev extra
    from sklearn.naive_bayes import MultinomialNB  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(CountVectorizer(), MultinomialNB())


def _replay(
    make: Callable[[], Any],
    texts: Sequence[str],
    labels: Sequence[str],
    skip: int,
    report: Callable[[int], None],
) -> ReplayReport:
    steps: list[Step] = []
    model: Any = None
    seen: set[str] = set()
    for at, (text, label) in enumerate(zip(texts, labels, strict=True)):
        predicted = str(model.predict([text])[0]) if model is not None else labels[0]
        steps.append(
            Step(str(at), label, predicted if at else None, 0.0, moves=False, known=label in seen)
        )
        seen.add(label)
        if (at + 1) % REFIT_EVERY == 0 and len(seen) > 1:
            with warnings.catch_warnings():
                # "y could represent a regression problem": many folders, little mail.
                warnings.simplefilter("ignore", UserWarning)
                model = make().fit(texts[: at + 1], labels[: at + 1])
        report(at + 1)
    return summarise(steps, skip, 1.0, 0.0, 0.0)
