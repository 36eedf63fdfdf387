"""Checks every Kubernetes manifest of deploy/ without a cluster.

usage: manifests.py PROGRAM KUSTOMIZE

Each document against the strict schemas of the three newest minors; each pod against the Pod Security level "restricted"; each
Service of Grafana must lead to the proxy; each configuration of the proxy, and its flags, must pass `check`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

VERSIONS = ["1.35", "1.36", "1.37"]
DEPLOY = pathlib.Path(__file__).resolve().parent.parent
PROXY_PORT, GRAFANA_PORT = 3001, 3000
WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
# Kinds of other projects: the other check knows them.
CUSTOM = ("gateway.networking.k8s.io/", "monitoring.coreos.com/", "grafana.integreatly.org/")


class Checks:
    def __init__(self, program):
        self.program = program
        self.count = {"documents": 0, "pods": 0, "services": 0, "configurations": 0}
        self.mistakes = []

    def wrong(self, place, text):
        self.mistakes.append(f"{place}: {text}")

    def documents(self, place, documents):
        """A set that is applied together."""
        documents = [document for document in documents if document]
        pods = []
        for document in documents:
            kind, name = document["kind"], document["metadata"]["name"]
            here = f"{place}: {kind} {name}"
            self.count["documents"] += 1
            if not document["apiVersion"].startswith(CUSTOM):
                self.schema(here, document)
            # What an operator makes of a document stands beside it.
            template = None if document["kind"] == "Grafana" else pod_template(document)
            if template:
                pods.append(template)
                self.pod(here, template["spec"])
                self.arguments(here, template["spec"], documents)
            if kind == "ConfigMap" and "proxy.yaml" in document.get("data", {}):
                self.configuration(here, document["data"]["proxy.yaml"], [])
        for document in documents:
            if document["kind"] == "Service":
                self.service(place, document, pods)
            if document["kind"] in {"PodDisruptionBudget", "NetworkPolicy"}:
                self.selects_some(place, document, pods)

    def schema(self, here, document):
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                self.wrong(here, f"Kubernetes {version}: {error.message}")

    def pod(self, here, spec):
        """The Pod Security Standards, level restricted, for what pods of ours use; and no file of theirs can be written."""
        self.count["pods"] += 1
        outer = spec.get("securityContext", {})
        for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(forbidden):
                self.wrong(here, f"{forbidden} is set")
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret", "downwardAPI", "csi", "ephemeral"}
        for volume in spec.get("volumes", []):
            if not set(volume) - {"name"} <= allowed:
                self.wrong(here, f"volume {volume['name']} is of a kind that is not allowed")
        for container in spec.get("initContainers", []) + spec["containers"]:
            inner = container.get("securityContext", {})
            place = f"{here}: container {container['name']}"
            if not inner.get("runAsNonRoot", outer.get("runAsNonRoot")):
                self.wrong(place, "may run as root")
            if inner.get("runAsUser", outer.get("runAsUser")) == 0:
                self.wrong(place, "runs as root")
            if inner.get("allowPrivilegeEscalation") is not False or inner.get("privileged"):
                self.wrong(place, "may gain privileges")
            if inner.get("capabilities", {}).get("drop") != ["ALL"] or inner["capabilities"].get("add"):
                self.wrong(place, "keeps capabilities")
            profile = inner.get("seccompProfile", outer.get("seccompProfile", {}))
            if profile.get("type") != "RuntimeDefault":
                self.wrong(place, "has no seccomp profile")
            if any("hostPort" in port for port in container.get("ports", [])):
                self.wrong(place, "takes a port of the node")
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if "host" in container.get(probe, {}).get("httpGet", {}):
                    self.wrong(place, f"{probe} names a host")
            if container["name"] == "token-proxy":
                self.proxy_container(place, container, inner)

    def proxy_container(self, place, container, security):
        if not security.get("readOnlyRootFilesystem"):
            self.wrong(place, "may write to its own files")
        if "cpu" in container["resources"].get("limits", {}) or "memory" not in container["resources"]["limits"]:
            self.wrong(place, "wants a limit of memory, and none of the processor")
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            if container.get(probe, {}).get("httpGet", {}).get("path") != path:
                self.wrong(place, f"{probe} does not ask {path}")

    def arguments(self, here, spec, documents):
        """The flags as they stand, with the file from the ConfigMap of the same set."""
        for container in spec.get("initContainers", []) + spec["containers"]:
            if container["name"] == "token-proxy":
                texts = [d["data"]["proxy.yaml"] for d in documents if "proxy.yaml" in (d.get("data") or {})]
                flags = [flag for flag in container["args"][1:] if not flag.startswith("--config")]
                self.configuration(f"{here}: flags", texts[0] if texts else "{}", flags)

    def configuration(self, here, text, flags):
        self.count["configurations"] += 1
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            environment = {**os.environ, "GTP_FINGERPRINT_KEY": "0" * 64}
            command = [self.program, "check", *flags, file.name]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode != 0:
                self.wrong(here, (done.stdout + done.stderr).strip())

    def service(self, place, service, pods):
        """Leads to the proxy, where a proxy is in the pods that it chooses."""
        here = f"{place}: Service {service['metadata']['name']}"
        self.count["services"] += 1
        selector = service["spec"]["selector"].items()
        chosen = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        if not chosen:
            return self.wrong(here, "chooses no pod")
        for pod in chosen:
            containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
            if not any(container["name"] == "token-proxy" for container in containers):
                continue
            target = service["spec"]["ports"][0]["targetPort"]
            ports = {port["name"]: port["containerPort"] for container in containers for port in container.get("ports", [])}
            if ports.get(target, target) != PROXY_PORT:
                self.wrong(here, f"leads to {target}, past the proxy")
            for container in pod["spec"]["containers"]:
                if container["name"] == "grafana":
                    probed = {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")}
                    if probed != {GRAFANA_PORT}:
                        self.wrong(here, "Grafana's probes go through the proxy")

    def selects_some(self, place, document, pods):
        key = "selector" if document["kind"] == "PodDisruptionBudget" else "podSelector"
        labels = document["spec"].get(key, {}).get("matchLabels", {}).items()
        if not labels or not any(labels <= pod["metadata"]["labels"].items() for pod in pods):
            self.wrong(f"{place}: {document['kind']}", "must choose pods of this set, and those alone")


def pod_template(document):
    if document["kind"] in WORKLOADS:
        return document["spec"]["template"]
    if document["kind"] == "Grafana":
        # What the operator adds by itself: its container, its label, its security context.
        template = document["spec"]["deployment"]["spec"]["template"]
        spec = {**template["spec"], "containers": [grafana_container("grafana-http", GRAFANA_PORT)]}
        return {"metadata": {"labels": {"app": document["metadata"]["name"]}}, "spec": spec}
    return None


def grafana_container(port_name, port, probes=None):
    probe = {"httpGet": {"path": "/api/health", "port": GRAFANA_PORT}}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    security["seccompProfile"] = {"type": "RuntimeDefault"}
    return {
        "name": "grafana",
        "image": "grafana",
        "ports": [{"name": port_name, "containerPort": port}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": security,
        **(probes or {}),
    }


def chart(values):
    """What the Grafana chart makes of the values, as far as the proxy is concerned (charts cannot be fetched here)."""
    probes = {name: values[name] for name in ("livenessProbe", "readinessProbe")}
    port = values["service"]["targetPort"]
    extra = values.get("extraContainers", "")
    template = {
        "metadata": {"labels": {"app.kubernetes.io/name": "grafana"}},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 472, "runAsGroup": 472, "fsGroup": 472},
            "initContainers": values.get("extraInitContainers", []),
            "containers": [grafana_container(values["podPortName"], port, probes), *(yaml.safe_load(extra) or [])],
            "volumes": values["extraContainerVolumes"],
        },
    }
    selector = {"app.kubernetes.io/name": "grafana"}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "grafana"},
        "spec": {"selector": selector, "ports": [{"name": "service", "port": 80, "targetPort": values["podPortName"]}]},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "grafana"},
        "spec": {"selector": {"matchLabels": selector}, "template": template},
    }
    yield from values["extraObjects"]


def operator(documents):
    """The Deployment and the Service that the operator makes of it."""
    for document in documents:
        yield document
        if document["kind"] == "Grafana":
            template = pod_template(document)
            yield {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "grafana-deployment"},
                "spec": {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template},
            }
            ports = document["spec"]["service"]["spec"]["ports"]
            assert ports[0]["port"] == GRAFANA_PORT, "the operator's own entry has this port, by which both are merged"
            yield {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "grafana-service"},
                "spec": {"selector": {"app": document["metadata"]["name"]}, "ports": ports},
            }


def main(program, kustomize):
    checks = Checks(program)
    for file in sorted(DEPLOY.glob("kubernetes/*.yaml")) + [DEPLOY / "routes/ingress.yaml"]:
        checks.documents(file.relative_to(DEPLOY), yaml.safe_load_all(file.read_text()))
    checks.documents("operator/grafana.yaml", operator(list(yaml.safe_load_all((DEPLOY / "operator/grafana.yaml").read_text()))))
    for file in sorted(DEPLOY.glob("helm/*.yaml")):
        values = yaml.safe_load(file.read_text())
        checks.documents(file.relative_to(DEPLOY), chart(values.get("grafana", values)))
    for folder in sorted(path.parent for path in DEPLOY.glob("kustomize/**/kustomization.yaml")):
        # A component is built as a part of what uses it.
        if folder.name == "component":
            continue
        built = subprocess.run([*kustomize.split(), folder], capture_output=True, text=True)
        if built.returncode != 0:
            checks.wrong(folder.relative_to(DEPLOY), built.stderr)
            continue
        checks.documents(folder.relative_to(DEPLOY), yaml.safe_load_all(built.stdout))
    for mistake in checks.mistakes:
        print(mistake)
    print("manifests: " + ", ".join(f"{count} {what}" for what, count in checks.count.items()), f"({', '.join(VERSIONS)})")
    sys.exit(bool(checks.mistakes))


if __name__ == "__main__":
    main(*sys.argv[1:])
