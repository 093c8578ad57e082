"""The manifests of deploy/kubernetes: valid for the API server, in agreement with one another and with the executables."""

import json
import urllib.error
import urllib.request

import kubernetes_validate
import pytest
import yaml

from services import BIN, ROOT, Service, eventually, free_port, is_ready

DIRECTORY = ROOT / "deploy/kubernetes"
# The oldest version with every field that is used (`preStop.sleep` is on by default from 1.30), and the newest known.
VERSIONS = ["1.30", "1.37"]
OBJECTS = [
    (path.name, document)
    for path in sorted(DIRECTORY.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
NAMED = [pytest.param(document, id=f"{name}-{document['kind']}") for name, document in OBJECTS]


def objects(kind):
    found = {document["metadata"]["name"]: document for _, document in OBJECTS if document["kind"] == kind}
    assert found, f"no {kind}"
    return found


def pod(deployment):
    return objects("Deployment")[deployment]["spec"]["template"]


def container(deployment):
    (only,) = pod(deployment)["spec"]["containers"]
    return only


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", [p for p in NAMED if p.values[0]["kind"] != "Kustomization"])
def test_every_manifest_is_valid(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_is_not_valid():
    wrong = json.loads(json.dumps(objects("Deployment")["gateway"]))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_kustomization_names_every_manifest():
    (kustomization,) = [document for _, document in OBJECTS if document["kind"] == "Kustomization"]
    files = {path.name for path in DIRECTORY.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
    assert set(kustomization["resources"]) == files
    assert {image["name"] for image in kustomization["images"]} == {
        container(name)["image"] for name in objects("Deployment")
    }


@pytest.mark.parametrize("name", ["gateway", "tool-server"])
def test_selectors_and_targets_meet(name):
    labels = pod(name)["metadata"]["labels"]

    def selects(selector):
        return selector.items() <= labels.items()

    assert selects(objects("Deployment")[name]["spec"]["selector"]["matchLabels"])
    assert selects(objects("Service")[name]["spec"]["selector"])
    assert selects(objects("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"])
    assert selects(objects("NetworkPolicy")[name]["spec"]["podSelector"]["matchLabels"])
    assert objects("HorizontalPodAutoscaler")[name]["spec"]["scaleTargetRef"]["name"] == name
    ports = {port["name"] for port in container(name)["ports"]}
    assert {port["targetPort"] for port in objects("Service")[name]["spec"]["ports"]} <= ports
    for rule in objects("NetworkPolicy")[name]["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= ports


@pytest.mark.parametrize("name", ["gateway", "tool-server"])
def test_pods_are_restricted(name):
    spec = pod(name)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    context = container(name)["securityContext"]
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["gateway", "tool-server"])
def test_no_service_sets_our_environment_variables(name):
    assert pod(name)["spec"]["enableServiceLinks"] is False


def arguments(name, replaced):
    """The container's arguments, with the places of this machine."""
    return [replaced.get(argument, argument) for argument in container(name)["args"]]


def test_the_pods_run_as_the_manifests_start_them(tmp_path):
    secret = objects("Secret")["chat-tool-server"]["stringData"]
    environment = {variable["name"]: variable["value"] for variable in container("gateway")["env"]}
    assert environment
    for variable in container("tool-server")["env"]:
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
            continue
        key = variable["valueFrom"]["secretKeyRef"]["key"]
        assert key in secret
        if not variable["valueFrom"]["secretKeyRef"].get("optional"):
            environment[variable["name"]] = str(tmp_path / "chat.sqlite")
    assert "TOOL_SERVER_DATABASE" in environment, "the database is named by the environment"

    port = free_port()
    places = {"/etc/chat-gateway/gateway.json": str(ROOT / "gateway.json"), "8001": str(port),
              "0.0.0.0": "127.0.0.1", "0.0.0.0:8080": "127.0.0.1:0", "0.0.0.0:9090": "127.0.0.1:0",
              "http://tool-server:8001/mcp/": f"http://127.0.0.1:{port}/mcp/"}
    (tool_port,) = objects("Service")["tool-server"]["spec"]["ports"]
    assert f"http://tool-server:{tool_port['port']}/mcp/" in container("gateway")["args"]

    services = {}
    try:
        for name in ("tool-server", "gateway"):
            services[name] = Service([BIN / name, *arguments(name, places)], environment)
        for name, service in services.items():
            admin = f"http://{service.address('admin')}"
            probes = {probe: container(name)[probe]["httpGet"] for probe in
                      ("startupProbe", "livenessProbe", "readinessProbe")}
            assert all(probe["port"] == "admin" for probe in probes.values())
            for probe in probes.values():
                eventually(lambda: is_ready(admin + probe["path"]), f"{name}: {probe['path']}", service.log)
        request = urllib.request.Request(
            f"http://{services['gateway'].address('main')}/api/chat/",
            data=b'{"type":"search_any","model":"nothing","query":"x"}', method="POST")
        try:
            urllib.request.urlopen(request, timeout=10)
            raise AssertionError("an unknown model was found")
        except urllib.error.HTTPError as error:
            assert (error.code, json.loads(error.read())) == (400, {"error": "Unknown model"})
    finally:
        for service in reversed(services.values()):
            service.stop()
