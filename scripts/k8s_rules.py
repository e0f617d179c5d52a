"""Our own rules for a rendered overlay, beyond what the schemas of Kubernetes say.

Called by check-k8s as `k8s_rules.py OVERLAY ROOT < rendered.yaml`. Each rule is a generator of complaints over the
set of objects; all complaints are printed, and one is enough to fail. The rules look at what comes out of kustomize
and not at our files, so a patch that stops matching is seen.
"""

import re
import sys
from pathlib import Path

import yaml

# Which path is whose (design: one address in front of all roles).
PATHS = {
    "/v1/carts": "cart",
    "/v1/checkouts": "order",
    "/v1/orders": "order",
    "/v1/returns": "order",
    "/v1/products": "catalog",
    "/v1/products:import": "catalog",
    "/v1/availability": "inventory",
    "/v1/admin/stock": "inventory",
    "/v1/admin/holds": "inventory",
    "/v1/admin/warehouses": "inventory",
    "/v1/admin/payment_intents": "payment",
    "/v1/admin/ledger": "payment",
    "/v1/provider/callbacks": "payment",
    "/v1/admin/shipments": "fulfillment",
    "/v1/carrier/callbacks": "fulfillment",
    "/v1/admin/sagas": "orchestrator",
    "/v1/admin/sagas:bulk": "orchestrator",
    "/v1/admin/bulk_operations": "orchestrator",
    "/v1/admin/audit": "orchestrator",
    "/v1/admin/invariants": "auditor",
    # Each service has its own.
    **{
        f"/v1/admin/dead_letters/{service}": service
        for service in ("order", "cart", "catalog", "inventory", "payment", "fulfillment", "orchestrator")
    },
}
# Settings that an overlay must bring: without them payment and fulfillment have nobody to call.
ADDRESSES = {"MAKEGOOD_PROVIDER_URL", "MAKEGOOD_CARRIER_URL", "MAKEGOOD_CARRIER_CALLBACK_URL"}
# What a pod may have whole, all of its keys as variables: everyone's databases, and only these two have a use for that.
EVERYONES_DATABASES = {"makegood-migration-databases": "migrate", "makegood-auditor-databases": "auditor"}
# preStop's 5 s and the 25 s that a role takes to finish what runs.
ORDERLY_END_SECONDS = 30


class Rendered:
    """The objects of one overlay, by kind and name."""

    def __init__(self, overlay, root, text):
        self.overlay = overlay
        self.root = Path(root)
        self.objects = [o for o in yaml.safe_load_all(text) if o]
        self.roles = sorted(d.name for d in (self.root / "services").iterdir() if d.is_dir() and d.name != "makegood")
        self.version = re.search(r'^version = "(.+)"$', (self.root / "Cargo.toml").read_text(), re.M)[1]

    def of(self, kind):
        return {o["metadata"]["name"]: o for o in self.objects if o["kind"] == kind}

    def pods(self):
        """What runs: (name, pod template, its container)."""
        for kind in ("Deployment", "Job"):
            for name, workload in self.of(kind).items():
                template = workload["spec"]["template"]
                yield name, template, template["spec"]["containers"][0]


def selects(selector, template):
    return bool(selector) and selector.items() <= template["metadata"]["labels"].items()


def plain_name(generated):
    """Without the hash that kustomize puts behind a generated name."""
    return re.sub(r"-[bcdfghkmt2456789]{10}$", "", generated)


def secret_key(variable):
    """(Secret, key) that an environment variable comes from, if it does."""
    ref = variable.get("valueFrom", {}).get("secretKeyRef")
    return (plain_name(ref["name"]), ref["key"]) if ref else None


def secrets_of_env_from(container):
    return {plain_name(f["secretRef"]["name"]) for f in container.get("envFrom", []) if "secretRef" in f}


def every_role_is_deployed(r):
    deployed = set(r.of("Deployment"))
    wanted = {role for role in r.roles if role != "sandbox" or r.overlay == "local"}
    for role in sorted(wanted - deployed):
        yield f"services/{role} has no Deployment"
    for role in sorted(deployed - wanted):
        yield f"Deployment {role}: no such role here"


def pods_are_restricted(r):
    for name, template, container in r.pods():
        pod = template["spec"]
        if len(pod["containers"]) != 1:
            yield f"{name}: these rules look at one container, and it has {len(pod['containers'])}"
        wanted = {
            "automountServiceAccountToken": (pod.get("automountServiceAccountToken"), False),
            "runAsNonRoot": (pod.get("securityContext", {}).get("runAsNonRoot"), True),
            "seccompProfile": (pod.get("securityContext", {}).get("seccompProfile"), {"type": "RuntimeDefault"}),
            "allowPrivilegeEscalation": (container.get("securityContext", {}).get("allowPrivilegeEscalation"), False),
            "readOnlyRootFilesystem": (container.get("securityContext", {}).get("readOnlyRootFilesystem"), True),
            "capabilities": (container.get("securityContext", {}).get("capabilities"), {"drop": ["ALL"]}),
        }
        for field, (found, right) in wanted.items():
            if found != right:
                yield f"{name}: {field} is {found} and must be {right}"
        if pod.get("serviceAccountName") not in r.of("ServiceAccount"):
            yield f"{name}: has no ServiceAccount of its own"


def pods_say_what_they_need(r):
    for name, _, container in r.pods():
        resources = container.get("resources", {})
        if set(resources.get("requests", {})) != {"cpu", "memory"}:
            yield f"{name}: must request cpu and memory"
        if set(resources.get("limits", {})) != {"memory"}:
            yield f"{name}: must limit memory, and not cpu"


def images_are_pinned(r):
    for name, _, container in r.pods():
        image = container.get("image", "")
        if r.overlay == "production" and not re.search(r"@sha256:[0-9a-f]{64}$", image):
            yield f"{name}: image {image} is not given by digest"
        if r.overlay != "production" and not image.endswith(f":{r.version}"):
            yield f"{name}: image {image} is not tagged with this release, {r.version}"


def roles_start_and_stop_in_order(r):
    for name, deployment in r.of("Deployment").items():
        spec, pod = deployment["spec"], deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]
        if container.get("args") != ["serve", name]:
            yield f"{name}: args are {container.get('args')}"
        if {p["name"]: p["containerPort"] for p in container.get("ports", [])} != {"http": 8080, "ops": 9090}:
            yield f"{name}: ports must be http 8080 and ops 9090"
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            if container.get(probe, {}).get("httpGet") != {"path": path, "port": "ops"}:
                yield f"{name}: {probe} must ask {path} on ops"
        if container.get("lifecycle", {}).get("preStop", {}).get("sleep") != {"seconds": 5}:
            yield f"{name}: preStop must sleep 5 s"
        if pod.get("terminationGracePeriodSeconds", 30) <= ORDERLY_END_SECONDS:
            yield f"{name}: terminationGracePeriodSeconds must be over {ORDERLY_END_SECONDS}"
        if spec.get("strategy", {}).get("rollingUpdate") != {"maxUnavailable": 0, "maxSurge": 1}:
            yield f"{name}: must roll with maxUnavailable 0 and maxSurge 1"
        threads = next((e for e in container.get("env", []) if e["name"] == "TOKIO_WORKER_THREADS"), {})
        if threads.get("valueFrom", {}).get("resourceFieldRef", {}).get("resource") != "requests.cpu":
            yield f"{name}: TOKIO_WORKER_THREADS must come from requests.cpu"


def roles_survive_a_node(r):
    autoscaled = {h["spec"]["scaleTargetRef"]["name"]: h["spec"]["minReplicas"] for h in r.of("HorizontalPodAutoscaler").values()}
    for name, deployment in r.of("Deployment").items():
        spec, template = deployment["spec"], deployment["spec"]["template"]
        spread = {c["topologyKey"] for c in template["spec"].get("topologySpreadConstraints", [])}
        if spread != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield f"{name}: must spread over zones and hosts"
        budgets = [b["spec"] for b in r.of("PodDisruptionBudget").values() if selects(b["spec"]["selector"].get("matchLabels"), template)]
        if len(budgets) != 1 or budgets[0].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{name}: must have one PodDisruptionBudget that lets broken pods be evicted"
        if name in autoscaled and "replicas" in spec:
            yield f"{name}: a replica count would fight with its autoscaler"
        replicas = autoscaled.get(name, spec.get("replicas", 1))
        if r.overlay == "production" and replicas < 2:
            yield f"{name}: has {replicas} replica, and production must have two or more"
        if r.overlay == "local" and replicas != 1:
            yield f"{name}: has {replicas} replicas, and local must have one"


def the_network_is_closed(r):
    policies = r.of("NetworkPolicy")
    deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    if policies.get("deny-all", {}).get("spec") != deny:
        yield "NetworkPolicy deny-all must select every pod, both ways, and allow nothing"
    for name, template, _ in r.pods():
        if not selects({"app.kubernetes.io/part-of": "makegood"}, template):
            yield f"{name}: the policy every-pod does not select it"
    for name, deployment in r.of("Deployment").items():
        selector = policies.get(name, {}).get("spec", {}).get("podSelector", {}).get("matchLabels")
        if selector != {"app.kubernetes.io/name": name} or not selects(selector, deployment["spec"]["template"]):
            yield f"{name}: must have a NetworkPolicy of its own"
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            if not rule.get("ports") or not (rule.get("from") or rule.get("to")):
                yield f"NetworkPolicy {name}: a rule without peers or ports opens too much"


def the_namespace_is_restricted(r):
    for name, namespace in r.of("Namespace").items():
        labels = namespace["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {name}: must enforce Pod Security restricted"
        if not re.fullmatch(r"v1\.\d+", labels.get("pod-security.kubernetes.io/enforce-version", "")):
            yield f"Namespace {name}: must pin the version of Pod Security"
    for o in r.objects:
        if o["kind"] != "Namespace" and o["metadata"].get("namespace") not in r.of("Namespace"):
            yield f"{o['kind']} {o['metadata']['name']}: is in no namespace of ours"


def only_the_migration_is_administrator(r):
    jobs = r.of("Job")
    job = f"makegood-migrate-v{r.version.replace('.', '-')}"
    if set(jobs) != {job}:
        yield f"the one Job must be {job}, and there is {', '.join(jobs) or 'none'}"
    for name, template, container in r.pods():
        urls = {e["name"]: secret_key(e) for e in container.get("env", []) if e["name"].endswith("DATABASE_URL")}
        server = urls.pop("DATABASE_URL", None)
        right = ("makegood-admin-database", "url") if name in jobs else ("makegood", "database-url")
        if server != right:
            yield f"{name}: DATABASE_URL comes from {server} and must come from {right}"
        own = f"MAKEGOOD_{name.upper()}_DATABASE_URL"
        foreign = {variable: key for variable, key in urls.items() if (variable, key) != (own, ("makegood-databases", own))}
        if foreign:
            yield f"{name}: is given another database than its own: {foreign}"
        for secret in secrets_of_env_from(container):
            if EVERYONES_DATABASES.get(secret) != template["spec"]["serviceAccountName"]:
                yield f"{name}: must not be given all of Secret {secret}"


def references_resolve(r):
    made = {plain_name(name): set(secret["data"]) for name, secret in r.of("Secret").items()}
    papers = (r.root / "k8s/README.md").read_text()
    jobs = r.of("Job")
    for name, template, container in r.pods():
        settings = [r.of("ConfigMap").get(f["configMapRef"]["name"]) for f in container.get("envFrom", []) if "configMapRef" in f]
        if name in jobs:
            # Its name says the content, and a Job whose template changes is refused.
            if settings:
                yield f"{name}: a Job that is given a ConfigMap cannot be applied again once a setting has changed"
        elif len(settings) != 1 or settings[0] is None or not ADDRESSES <= set(settings[0]["data"]):
            yield f"{name}: is not given the settings, with {', '.join(sorted(ADDRESSES))} among them"
        refs = [(secret_key(e), e["valueFrom"]["secretKeyRef"].get("optional")) for e in container.get("env", []) if secret_key(e)]
        mounted = {plain_name(v["secret"]["secretName"]) for v in template["spec"].get("volumes", []) if "secret" in v}
        for secret, key in [ref for ref, optional in refs if not optional] + [(secret, None) for secret in mounted]:
            if r.overlay == "local" and (secret not in made or key and key not in made[secret]):
                yield f"{name}: Secret {secret} with {key or 'its files'} is not there"
        for secret in sorted({ref[0] for ref, _ in refs} | mounted | secrets_of_env_from(container)):
            if f"`{secret}`" not in papers:
                yield f"{name}: Secret {secret} is not described in k8s/README.md"
    if r.overlay == "production" and made:
        yield f"Secrets are not kept in the repository: {', '.join(made)}"


def services_reach_their_pods(r):
    for name, service in r.of("Service").items():
        deployment = r.of("Deployment").get(name)
        if not deployment or not selects(service["spec"].get("selector"), deployment["spec"]["template"]):
            yield f"Service {name}: selects no Deployment of its name"
        if service["spec"]["ports"] != [{"name": "http", "port": 8080, "targetPort": "http"}]:
            yield f"Service {name}: offers http 8080 and nothing else"


def every_path_has_its_role(r):
    """Also the form of the HTTPRoute, whose schema Kubernetes does not bring."""
    routed = {}
    for name, route in r.of("HTTPRoute").items():
        if not set(route["spec"]) <= {"parentRefs", "hostnames", "rules"} or not route["spec"].get("parentRefs"):
            yield f"HTTPRoute {name}: spec has {sorted(route['spec'])}"
        for rule in route["spec"]["rules"]:
            if not set(rule) <= {"matches", "timeouts", "backendRefs"} or len(rule.get("backendRefs", [])) != 1:
                yield f"HTTPRoute {name}: a rule has matches, one backend and perhaps timeouts, not {sorted(rule)}"
                continue
            if not all(re.fullmatch(r"\d{1,5}(ms|s|m|h)", t) for t in rule.get("timeouts", {}).values()):
                yield f"HTTPRoute {name}: {rule['timeouts']} is no Gateway API duration"
            backend = rule["backendRefs"][0]
            if backend.get("name") not in r.of("Service") or backend.get("port") != 8080:
                yield f"HTTPRoute {name}: {backend} is no Service of ours"
            for match in rule.get("matches", []):
                path = match.get("path", {})
                if set(match) != {"path"} or path.get("type") not in ("PathPrefix", "Exact") or path.get("value") in routed:
                    yield f"HTTPRoute {name}: {match} is no path, or there twice"
                routed[path.get("value")] = backend.get("name")
    for path in sorted(set(PATHS) | set(routed), key=str):
        if PATHS.get(path) != routed.get(path):
            yield f"{path} is routed to {routed.get(path)} and belongs to {PATHS.get(path)}"


RULES = [
    every_role_is_deployed,
    pods_are_restricted,
    pods_say_what_they_need,
    images_are_pinned,
    roles_start_and_stop_in_order,
    roles_survive_a_node,
    the_network_is_closed,
    the_namespace_is_restricted,
    only_the_migration_is_administrator,
    references_resolve,
    services_reach_their_pods,
    every_path_has_its_role,
]


def main(overlay, root):
    rendered = Rendered(overlay, root, sys.stdin.read())
    complaints = [f"{rule.__name__}: {complaint}" for rule in RULES for complaint in rule(rendered)]
    for complaint in complaints:
        print(f"check-k8s: {overlay}: {complaint}", file=sys.stderr)
    if not complaints:
        print(f"check-k8s: {overlay} keeps all {len(RULES)} rules of scripts/k8s_rules.py ({len(rendered.objects)} objects)")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
