"""The dashboard, the alerts and the page name what the daemon really tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.metrics.figures import Families
from daemon.metrics.prometheus import PrometheusMeter, new_registry

CHECKOUT = Path(__file__).parents[2]
DASHBOARD = CHECKOUT / "packaging" / "grafana" / "inboxd.json"
ALERTS = CHECKOUT / "packaging" / "prometheus" / "alerts.yaml"
PAGE = CHECKOUT / "docs" / "monitoring.md"

GIVEN_BY_PROMETHEUS = {"up"}
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
NAME = re.compile(r"\b(?:inboxd|process)_[a-z_]+\b|\bup\b")


@pytest.fixture(scope="module")
def told() -> set[str]:
    """Names of all that a scrape tells, and would tell once it has happened."""
    registry = new_registry(lambda: Families().every())
    PrometheusMeter(registry)
    names = {
        family.name + suffix
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for suffix in SUFFIXES[family.type]
    }
    return names | GIVEN_BY_PROMETHEUS


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    """The dashboard's JSON."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    """All alerts."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every query of panels, annotations and variables."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    yield from (each["expr"] for each in dashboard["annotations"]["list"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield re.sub(r"label_values\((.*), \w+\)", r"\1", variable["query"]["query"])


def test_a_scrape_tells_the_names_that_are_compared_with(told: set[str]) -> None:
    """Else the other tests would compare with nothing."""
    assert {
        "inboxd_mails_total",
        "inboxd_cycle_duration_seconds_bucket",
        "inboxd_build_info",
        "process_resident_memory_bytes",
    } <= told


def test_the_dashboard_asks_for_what_there_is(dashboard: dict[str, Any], told: set[str]) -> None:
    """Every name in every query; and no metric of ours is forgotten by the dashboard."""
    asked = {name for expr in expressions(dashboard) for name in NAME.findall(expr)}

    assert asked - told == set()
    forgotten = {n for n in told - asked if n.startswith("inboxd_") and "duration" not in n}
    assert forgotten == {"inboxd_account_paused", "inboxd_planned_moves"}


def test_the_alerts_ask_for_what_there_is(told: set[str]) -> None:
    """Every name in every expression."""
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}

    assert asked - told == set()
    assert len(asked) > 5


def test_labels_exist(dashboard: dict[str, Any]) -> None:
    """Those by which is summed and chosen are labels of the metric's family or Prometheus' own."""
    labels = {family.name: {*family.labels} for family in Families().every()}
    for expr in [*expressions(dashboard), *(rule["expr"] for rule in rules())]:
        known = set(LABELS_OF_PROMETHEUS) | {"account"}
        for name in NAME.findall(expr):
            known |= labels.get(name, set())
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expr)
        used = {label.strip() for group in grouped for label in group.split(",")}
        used |= set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|=)", expr))
        assert used <= known, expr


def test_the_page_describes_every_metric(told: set[str]) -> None:
    """And none that does not exist."""
    page = PAGE.read_text(encoding="utf-8").partition("### What is told")[2]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    described = {
        f"inboxd_{name}" for row in rows for name in re.findall(r"`(\w+)(?:\{[\w,]+\})?`", row)
    }
    families = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in told if name.startswith("inboxd_")
    }

    assert described == families


def test_every_panel_has_its_place_and_its_source(dashboard: dict[str, Any]) -> None:
    """As Grafana's classic model wants it: unique ids, no overlap on a grid of 24 columns, and
    the data source that the reader chose."""
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard["panels"]]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
        assert {"defaults", "overrides"} <= panel["fieldConfig"].keys()

    assert len(ids) == len(set(ids))
    assert dashboard["schemaVersion"] >= 36
    assert dashboard["uid"] == "inboxd"
    assert "id" not in dashboard  # is given by Grafana when it is imported


def test_variables_in_queries_are_defined(dashboard: dict[str, Any]) -> None:
    """Grafana's own begin with two underscores."""
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {
        name
        for expr in expressions(dashboard)
        for name in re.findall(r"\$\{?(\w+)", expr)
        if not name.startswith("__")
    }

    assert used == defined - {"datasource"}


def test_every_alert_says_what_to_do() -> None:
    """A command, or where to look."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")
        assert "inboxd " in rule["annotations"]["description"], rule["alert"]


def promtool(*arguments: str) -> str:
    """What Prometheus' own tool says; the test is left out where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool (of the package prometheus) is not installed")
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_itself_reads_alerts_and_queries(
    dashboard: dict[str, Any], tmp_path: Path
) -> None:
    """Every expression is parsed, those of the dashboard as recording rules."""
    filled = [
        expr.replace("$__rate_interval", "5m").replace("$account", ".*").replace("$job", "inboxd")
        for expr in expressions(dashboard)
    ]
    recorded = [
        {"record": f"dashboard:query:{number}", "expr": expr} for number, expr in enumerate(filled)
    ]
    queries = tmp_path / "queries.yaml"
    queries.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))

    said = promtool("check", "rules", str(ALERTS), str(queries))

    assert f"{len(recorded)} rules found" in said


def test_alerts_ring_when_they_should(tmp_path: Path) -> None:
    """Prometheus plays hours of figures; see alerts_test.yaml."""
    played = Path(__file__).with_name("alerts_test.yaml").read_text(encoding="utf-8")
    told = tmp_path / "alerts_test.yaml"
    told.write_text(played.replace("RULES", str(ALERTS)), encoding="utf-8")

    assert "SUCCESS" in promtool("test", "rules", str(told))
