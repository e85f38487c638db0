"""The custom code of an exported model: our own modules, made to import each other.

The files are made from the modules that inboxd itself runs, so they cannot drift: nothing in
them differs but the names in their import lines, and that `selectolax` may be missing. They lie
flat in one directory, because transformers copies them from there next to each other.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

ROOTS = ("daemon.export.configuration_inboxd", "daemon.export.modeling_inboxd")
_OURS = ("classifier", "daemon", "trainer")
_OPTIONAL = {"selectolax": "HTML mail"}
"""Packages of which the exported code can do without, and what it cannot read then."""


def exported_sources() -> dict[str, str]:
    """The content of each file by its name: the roots and all that they import of ours."""
    found: dict[str, str] = {}
    waiting = list(ROOTS)
    while waiting:
        module = waiting.pop()
        name = f"{_flat(module)}.py"
        if name in found:
            continue
        path = _path_of(module)
        found[name], needed = _rewritten(path.read_text(encoding="utf-8"), module)
        waiting += needed
    return found


def _flat(module: str) -> str:
    """ "classifier.encoder.encode" → "inboxd_encoder_encode"; a root keeps its own name."""
    if module in ROOTS:
        return module.rpartition(".")[2]
    return "_".join(["inboxd", *module.split(".")[1:]])


def _path_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or spec.origin.endswith("__init__.py"):
        raise ValueError(f"{module} cannot be exported: import from modules, not from packages")
    return Path(spec.origin)


def _rewritten(source: str, module: str) -> tuple[str, list[str]]:
    """The source with relative imports of our modules, and the names of these."""
    lines = source.splitlines()
    needed = []
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    # From the end, so that what grows does not move what is still to be done.
    for node in sorted(nodes, key=lambda one: -one.lineno):
        name = node.module or ""
        top = name.partition(".")[0]
        if top in _OURS:
            needed.append(name)
            at = node.lineno - 1
            lines[at] = lines[at].replace(f"from {name} import", f"from .{_flat(name)} import", 1)
        elif top in _OPTIONAL:
            imported = [alias.name for alias in node.names]
            lines[node.lineno - 1 : node.end_lineno] = _or_missing(name, imported)
    header = f"# Written by inboxd from its module {module} (MIT licence). Do not edit."
    return "\n".join([header, *lines]) + "\n", needed


def _or_missing(module: str, names: list[str]) -> list[str]:
    """An import whose names complain only when they are used."""
    package = module.partition(".")[0]
    told = f"{_OPTIONAL[package]} needs the package {package}: pip install {package}"
    return [
        "try:",
        f"    from {module} import {', '.join(names)}",
        "except ImportError:",
        "",
        "    class _Missing(Exception):",
        "        def __init__(self, *_: object) -> None:",
        f"            raise ImportError({told!r})",
        "",
        f"    {' = '.join(names)} = _Missing",
    ]
