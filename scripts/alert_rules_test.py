"""Breaks the alert rules in one way at a time and wants the right rule to say so.

Called by check-k8s as `alert_rules_test.py ROOT`.
"""

import copy
import sys

import alert_rules

EXPRESSIONS = "expressions_are_promql_of_our_metrics"
URGENCY = "alerts_wait_and_say_how_urgent_they_are"
WAY_OUT = "alerts_say_what_to_do"

# (what is broken, how, the rule that must complain)
BREAKAGES = [
    ("an open parenthesis", lambda alert: alert.update(expr="max by (step) (makegood_sagas_parked > 0"), EXPRESSIONS),
    ("a metric of nobody", lambda alert: alert.update(expr="max(makegood_sagas_lost) > 0"), EXPRESSIONS),
    ("a metric of nobody over time", lambda alert: alert.update(expr="rate(makegood_sagas_lost[5m]) > 0"), EXPRESSIONS),
    ("no metric", lambda alert: alert.update(expr="time() > 0"), EXPRESSIONS),
    ("no expression", lambda alert: alert.pop("expr"), EXPRESSIONS),
    ("no patience", lambda alert: alert.pop("for"), URGENCY),
    ("a wrong duration", lambda alert: alert.update({"for": "a minute"}), URGENCY),
    ("no severity", lambda alert: alert.pop("labels"), URGENCY),
    ("another severity", lambda alert: alert["labels"].update(severity="panic"), URGENCY),
    ("no summary", lambda alert: alert["annotations"].pop("summary"), WAY_OUT),
    ("no runbook", lambda alert: alert["annotations"].pop("runbook_url"), WAY_OUT),
    ("a section that is not there", lambda alert: alert["annotations"].update(runbook_url="docs/runbook.md#panic"), WAY_OUT),
    ("a name taken", lambda alert: alert.update(alert="MakegoodSagasStuck"), "names_are_told_apart"),
]


def is_seen(alerts, breakage, rule_name):
    broken = copy.copy(alerts)
    broken.alerts = copy.deepcopy(alerts.alerts)
    breakage(broken.alerts[0])
    return any(list(rule(broken)) for rule in alert_rules.RULES if rule.__name__ == rule_name)


def main(root):
    alerts = alert_rules.Alerts(root)
    unseen = [what for what, breakage, rule in BREAKAGES if not is_seen(alerts, breakage, rule)]
    unseen += [rule.__name__ for rule in alert_rules.RULES if rule.__name__ not in {b[2] for b in BREAKAGES}]
    for what in unseen:
        print(f"check-k8s: no rule sees: {what}", file=sys.stderr)
    print(f"check-k8s: {len(BREAKAGES)} ways to break the alerts, {len(unseen)} of them unseen by the rules")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
