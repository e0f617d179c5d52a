"""Holds the alert rules against the code and the runbook, offline.

Called by check-k8s as `alert_rules.py ROOT`. Each rule is a generator of complaints about the file as a whole; all
complaints are printed, and one is enough to fail. `alert_rules_test.py` breaks the file in one way at a time.
"""

import re
import sys
from pathlib import Path

import promql_parser
import yaml

RULES_FILE = "k8s/components/alerts/saga-alerts.yaml"
SEVERITIES = {"page", "ticket"}
DURATION = re.compile(r"\d+[smh]")


class Alerts:
    """The alerts, what the code tells, and what the runbook explains."""

    def __init__(self, root):
        root = Path(root)
        document = yaml.safe_load((root / RULES_FILE).read_text())
        self.alerts = [rule for group in document["spec"]["groups"] for rule in group["rules"]]
        sources = [path.read_text() for folder in ("crates", "services") for path in (root / folder).rglob("*.rs")]
        self.metrics = {name for text in sources for name in re.findall(r'"(makegood_[a-z_]+)",\n', text)}
        self.metrics |= {name for text in sources for name in re.findall(r'::register\(\s*"(makegood_[a-z_]+)"', text)}
        headings = re.findall(r"^#+ (.+)$", (root / "docs/runbook.md").read_text(), re.M)
        self.sections = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def selected(expression):
    """The metrics that an expression reads."""
    found = []

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.append(node.name)
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector.name)
        return True

    promql_parser.walk(expression, visit)
    return found


def expressions_are_promql_of_our_metrics(a):
    for alert in a.alerts:
        try:
            expression = promql_parser.parse(alert.get("expr", ""))
        except ValueError as error:
            yield f"{alert['alert']}: expr is no PromQL: {error}"
            continue
        metrics = selected(expression)
        if not metrics:
            yield f"{alert['alert']}: expr reads no metric"
        for metric in metrics:
            if metric not in a.metrics:
                yield f"{alert['alert']}: no code tells the metric {metric}"


def alerts_wait_and_say_how_urgent_they_are(a):
    for alert in a.alerts:
        if not DURATION.fullmatch(alert.get("for", "")):
            yield f"{alert['alert']}: for is {alert.get('for')} and must be a duration such as 2m"
        if alert.get("labels", {}).get("severity") not in SEVERITIES:
            yield f"{alert['alert']}: severity must be one of {', '.join(sorted(SEVERITIES))}"


def alerts_say_what_to_do(a):
    for alert in a.alerts:
        told = alert.get("annotations", {})
        for field in ("summary", "description"):
            if not told.get(field):
                yield f"{alert['alert']}: has no {field}"
        file, _, section = told.get("runbook_url", "").partition("#")
        if file != "docs/runbook.md" or section not in a.sections:
            yield f"{alert['alert']}: runbook_url {told.get('runbook_url')} leads to no section of docs/runbook.md"


def names_are_told_apart(a):
    names = [alert["alert"] for alert in a.alerts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: is there twice"


RULES = [
    expressions_are_promql_of_our_metrics,
    alerts_wait_and_say_how_urgent_they_are,
    alerts_say_what_to_do,
    names_are_told_apart,
]


def main(root):
    alerts = Alerts(root)
    complaints = [f"{rule.__name__}: {complaint}" for rule in RULES for complaint in rule(alerts)]
    for complaint in complaints:
        print(f"check-k8s: {RULES_FILE}: {complaint}", file=sys.stderr)
    if not complaints:
        print(f"check-k8s: {len(alerts.alerts)} alerts read metrics that exist and lead to a section of docs/runbook.md")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
