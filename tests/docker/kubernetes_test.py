# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes manifests: what the API server takes, and fitting each other and the broker."""
import subprocess
import sys

import pytest
import yaml

from harness.broker import ROOT, find_binary

FOLDER = ROOT / "docker" / "kubernetes"
VALIDATOR = "kubernetes-validate==1.37.0"  # from PyPI: it brings the schemas of all versions along
VERSIONS = ("1.29.0", "1.33.0", "1.37.0")
INSTALL_TIMEOUT_S = 120
NAME = "tidings"
DRAIN_LATE_S = 5  # after its time `tidings drain --wait` gives up
END_S = 2  # from SIGTERM to the end of the process

pytestmark = pytest.mark.deadline(240)


def read(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module", name="kustomization")
def fixture_kustomization():
    return read("kustomization.yaml")


@pytest.fixture(scope="module", name="resources")
def fixture_resources(kustomization):
    """Every resource, by kind and name."""
    found = [resource for name in kustomization["resources"]
             for resource in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.fixture(name="pod")
def fixture_pod(resources):
    return resources["StatefulSet", NAME]["spec"]["template"]


@pytest.fixture(name="container")
def fixture_container(pod):
    return pod["spec"]["containers"][0]


@pytest.fixture(name="configuration")
def fixture_configuration():
    return read("tidings.yaml")


@pytest.fixture(scope="module", name="validate")
def fixture_validate(tmp_path_factory):
    """validate(version, files…): what kubernetes-validate says of them."""
    folder = tmp_path_factory.mktemp("validator")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--timeout", "10", "--retries", "1", "--target", folder, VALIDATOR],
            capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{VALIDATOR} does not come within {INSTALL_TIMEOUT_S} s")
    if done.returncode != 0:
        pytest.skip(f"{VALIDATOR} cannot be had: {done.stderr.decode()[-200:]}")

    def validate(version, *files):
        return subprocess.run(
            [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version, *files],
            env={"PYTHONPATH": str(folder)}, capture_output=True, timeout=60, check=False)

    return validate


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_the_api_server_takes(validate, kustomization, version):
    files = [FOLDER / name for name in kustomization["resources"]]
    done = validate(version, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_manifest_with_a_misspelt_field_is_found(validate, tmp_path):
    text = (FOLDER / "statefulset.yaml").read_text(encoding="utf-8")
    path = tmp_path / "statefulset.yaml"
    path.write_text(text.replace("readinessProbe:", "readynessProbe:"), encoding="utf-8")
    assert validate(VERSIONS[-1], path).returncode != 0


def test_no_file_is_forgotten(kustomization):
    named = kustomization["resources"] + kustomization["configMapGenerator"][0]["files"]
    assert sorted(named + ["kustomization.yaml"]) == sorted(path.name for path in FOLDER.iterdir())


def test_everything_selects_the_pod(resources, pod):
    labels = pod["metadata"]["labels"].items()
    selectors = [one["spec"].get("selector") or one["spec"]["podSelector"]
                 for one in resources.values()]
    assert len(selectors) == len(resources)
    for selector in selectors:
        assert selector.get("matchLabels", selector).items() <= labels


def test_every_port_that_is_named_is_one_of_the_pod_and_of_the_broker(
        resources, pod, container, configuration):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listen = {name: configuration[name]["listen"] for name in ("public", "mqtt", "operator")}
    assert listen == {name: f"0.0.0.0:{port}" for name, port in ports.items()}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "operator"
    for kind, name in resources:
        if kind == "Service":
            assert {port["targetPort"] for port in
                    resources[kind, name]["spec"]["ports"]} <= set(ports)
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["operator"])


def test_the_operators_port_is_for_the_monitoring_alone(resources):
    rules = resources["NetworkPolicy", NAME]["spec"]["ingress"]
    (rule,) = [rule for rule in rules if {"port": "operator"} in rule["ports"]]
    assert [list(peer) for peer in rule["from"]] == [["namespaceSelector"]]
    assert all("ports" in rule for rule in rules)  # a rule without them would open every port


def test_the_configuration_is_good_and_its_data_are_on_the_claim(
        resources, container, configuration, pod):
    done = subprocess.run([find_binary(), "check", FOLDER / "tidings.yaml"], capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    (claim,) = resources["StatefulSet", NAME]["spec"]["volumeClaimTemplates"]
    assert mounts[claim["metadata"]["name"]] == configuration["data"]
    (volume,) = pod["spec"]["volumes"]
    assert volume["configMap"]["name"] == NAME
    image = yaml.safe_load((ROOT / "docker" / "tidings.yaml").read_text(encoding="utf-8"))
    assert configuration["data"] == image["data"]  # where the image keeps its volume
    assert f"{mounts[volume['name']]}/tidings.yaml" in \
        (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_drain_hook_is_short_and_a_command_of_the_broker(resources, pod, container):
    name, subcommand, *flags = container["lifecycle"]["preStop"]["exec"]["command"]
    over_s = int(flags[flags.index("--over") + 1].removesuffix("s"))
    assert over_s + DRAIN_LATE_S + END_S < pod["spec"]["terminationGracePeriodSeconds"]
    # Where no other pod takes those that are told to go, a drain is an outage.
    assert resources["StatefulSet", NAME]["spec"]["replicas"] == 1 and over_s <= 5
    assert name == "tidings"
    done = subprocess.run([find_binary(), subcommand, "--help"], capture_output=True, timeout=30,
                          check=False)
    assert done.returncode == 0, done.stderr
