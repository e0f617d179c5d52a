"""Breaks a rendered overlay in one way at a time and wants the right rule to say so: a rule that sees nothing is worse
than none.

Called by check-k8s as `k8s_rules_test.py ROOT LOCAL.yaml PRODUCTION.yaml`.
"""

import copy
import sys
from pathlib import Path

import k8s_rules


def container(r, kind="Deployment", name="cart"):
    return r.of(kind)[name]["spec"]["template"]["spec"]["containers"][0]


def pod(r, name="cart"):
    return r.of("Deployment")[name]["spec"]["template"]["spec"]


def remove(r, kind, name):
    r.objects = [o for o in r.objects if (o["kind"], o["metadata"]["name"]) != (kind, name)]


def job(r):
    return next(iter(r.of("Job").values()))


def env(r, variable, name="cart"):
    return next(e for e in container(r, name=name)["env"] if e["name"] == variable)


def secret_ref(r, variable):
    return env(r, variable)["valueFrom"]["secretKeyRef"]


def rule_for(r, path):
    return next(u for u in r.of("HTTPRoute")["makegood"]["spec"]["rules"] if u["matches"][0]["path"]["value"] == path)


DATABASES = "only_the_migration_is_administrator"

# (what is broken, in which overlay, how, the rule that must complain)
BREAKAGES = [
    ("a role without a Deployment", "local", lambda r: remove(r, "Deployment", "sandbox"), "every_role_is_deployed"),
    ("the sandbox in production", "production", lambda r: r.of("Deployment")["cart"]["metadata"].update(name="sandbox"), "every_role_is_deployed"),
    ("a writable root", "local", lambda r: container(r)["securityContext"].pop("readOnlyRootFilesystem"), "pods_are_restricted"),
    ("capabilities kept", "local", lambda r: container(r)["securityContext"].pop("capabilities"), "pods_are_restricted"),
    ("a pod that may be root", "local", lambda r: pod(r).pop("securityContext"), "pods_are_restricted"),
    ("an API token", "local", lambda r: pod(r).pop("automountServiceAccountToken"), "pods_are_restricted"),
    ("the Job not restricted", "local", lambda r: job(r)["spec"]["template"]["spec"].pop("securityContext"), "pods_are_restricted"),
    ("the default account", "local", lambda r: remove(r, "ServiceAccount", "cart"), "pods_are_restricted"),
    ("no memory limit", "local", lambda r: container(r)["resources"].pop("limits"), "pods_say_what_they_need"),
    ("a CPU limit", "local", lambda r: container(r)["resources"]["limits"].update(cpu="1"), "pods_say_what_they_need"),
    ("no requests", "local", lambda r: container(r)["resources"].pop("requests"), "pods_say_what_they_need"),
    ("latest", "local", lambda r: container(r).update(image="makegood:latest"), "images_are_pinned"),
    ("no tag", "local", lambda r: container(r).update(image="makegood"), "images_are_pinned"),
    ("a tag in production", "production", lambda r: container(r).update(image="makegood:0.1.0"), "images_are_pinned"),
    ("another role's arguments", "local", lambda r: container(r).update(args=["serve", "order"]), "roles_start_and_stop_in_order"),
    ("no readiness probe", "local", lambda r: container(r).pop("readinessProbe"), "roles_start_and_stop_in_order"),
    ("liveness by readiness", "local", lambda r: container(r)["livenessProbe"]["httpGet"].update(path="/readyz"), "roles_start_and_stop_in_order"),
    ("no startup probe", "local", lambda r: container(r).pop("startupProbe"), "roles_start_and_stop_in_order"),
    ("no preStop", "local", lambda r: container(r).pop("lifecycle"), "roles_start_and_stop_in_order"),
    ("the default grace", "local", lambda r: pod(r).pop("terminationGracePeriodSeconds"), "roles_start_and_stop_in_order"),
    ("a gap while rolling", "local", lambda r: r.of("Deployment")["cart"]["spec"].pop("strategy"), "roles_start_and_stop_in_order"),
    ("a thread for every core", "local", lambda r: env(r, "TOKIO_WORKER_THREADS").pop("valueFrom"), "roles_start_and_stop_in_order"),
    ("no spread", "local", lambda r: pod(r)["topologySpreadConstraints"].pop(), "roles_survive_a_node"),
    ("no budget", "local", lambda r: remove(r, "PodDisruptionBudget", "cart"), "roles_survive_a_node"),
    ("broken pods kept", "local", lambda r: r.of("PodDisruptionBudget")["cart"]["spec"].pop("unhealthyPodEvictionPolicy"), "roles_survive_a_node"),
    ("one replica in production", "production", lambda r: r.of("Deployment")["payment"]["spec"].pop("replicas"), "roles_survive_a_node"),
    ("replicas beside an autoscaler", "production", lambda r: r.of("Deployment")["cart"]["spec"].update(replicas=2), "roles_survive_a_node"),
    ("an open network", "local", lambda r: remove(r, "NetworkPolicy", "deny-all"), "the_network_is_closed"),
    ("a service without a policy", "local", lambda r: remove(r, "NetworkPolicy", "cart"), "the_network_is_closed"),
    ("a policy for everyone", "local", lambda r: r.of("NetworkPolicy")["cart"]["spec"].update(ingress=[{}]), "the_network_is_closed"),
    ("a lax namespace", "local", lambda r: r.of("Namespace")["makegood"]["metadata"].pop("labels"), "the_namespace_is_restricted"),
    ("an object elsewhere", "local", lambda r: r.of("Service")["cart"]["metadata"].pop("namespace"), "the_namespace_is_restricted"),
    ("last release's Job", "local", lambda r: job(r)["metadata"].update(name="makegood-migrate-v0-0-9"), DATABASES),
    ("a role as administrator", "local", lambda r: secret_ref(r, "DATABASE_URL").update(name="makegood-admin-database", key="url"), DATABASES),
    ("another service's database", "local", lambda r: secret_ref(r, "MAKEGOOD_CART_DATABASE_URL").update(key="MAKEGOOD_ORDER_DATABASE_URL"), DATABASES),
    (
        "everyone's databases for a service",
        "local",
        lambda r: container(r)["envFrom"].append({"secretRef": {"name": "makegood-migration-databases"}}),
        DATABASES,
    ),
    ("no settings", "local", lambda r: container(r).pop("envFrom"), "references_resolve"),
    (
        "a Job that a setting changes",
        "local",
        lambda r: container(r, "Job", job(r)["metadata"]["name"])["envFrom"].append({"configMapRef": {"name": "makegood-settings"}}),
        "references_resolve",
    ),
    ("a missing ConfigMap", "local", lambda r: container(r)["envFrom"][0]["configMapRef"].update(name="other"), "references_resolve"),
    ("a missing Secret", "local", lambda r: secret_ref(r, "NATS_URL").update(name="makegood-databases"), "references_resolve"),
    ("a missing key", "local", lambda r: secret_ref(r, "NATS_URL").update(key="nats"), "references_resolve"),
    ("a missing file of keys", "local", lambda r: remove(r, "Secret", pod(r)["volumes"][0]["secret"]["secretName"]), "references_resolve"),
    ("an undocumented Secret", "production", lambda r: secret_ref(r, "NATS_URL").update(name="other"), "references_resolve"),
    ("a Secret in production", "production", lambda r: r.of("ConfigMap").popitem()[1].update(kind="Secret"), "references_resolve"),
    ("a Service of nobody", "local", lambda r: r.of("Service")["cart"]["spec"].update(selector={"app": "cart"}), "services_reach_their_pods"),
    ("operations for everyone", "local", lambda r: r.of("Service")["cart"]["spec"]["ports"][0].update(targetPort="ops"), "services_reach_their_pods"),
    ("a path to the wrong role", "local", lambda r: rule_for(r, "/v1/carts")["backendRefs"][0].update(name="order"), "every_path_has_its_role"),
    ("a path that leads nowhere", "local", lambda r: rule_for(r, "/v1/carts")["backendRefs"][0].update(name="basket"), "every_path_has_its_role"),
    ("a path forgotten", "local", lambda r: rule_for(r, "/v1/checkouts")["matches"].pop(), "every_path_has_its_role"),
    ("a wrong match", "local", lambda r: rule_for(r, "/v1/carts")["matches"][0]["path"].update(type="Prefix"), "every_path_has_its_role"),
    ("a wrong duration", "local", lambda r: rule_for(r, "/v1/checkouts")["timeouts"].update(request="2 min"), "every_path_has_its_role"),
]


def is_seen(rendered, breakage, rule_name):
    broken = copy.deepcopy(rendered)
    breakage(broken)
    return any(list(rule(broken)) for rule in k8s_rules.RULES if rule.__name__ == rule_name)


def main(root, local, production):
    overlays = {
        "local": k8s_rules.Rendered("local", root, Path(local).read_text()),
        "production": k8s_rules.Rendered("production", root, Path(production).read_text()),
    }
    unseen = [what for what, overlay, breakage, rule in BREAKAGES if not is_seen(overlays[overlay], breakage, rule)]
    unseen += [rule.__name__ for rule in k8s_rules.RULES if rule.__name__ not in {b[3] for b in BREAKAGES}]
    for what in unseen:
        print(f"check-k8s: no rule sees: {what}", file=sys.stderr)
    print(f"check-k8s: {len(BREAKAGES)} ways to break an overlay, {len(unseen)} of them unseen by the rules")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
