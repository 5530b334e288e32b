# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/howto/docker.md, but for the ports as they stand there, on our engine."""
import re

import pytest

from harness import http
from harness.broker import ROOT
from harness.docker import BUILD_TIMEOUT_S, free_ports

PAGE = ROOT / "docs" / "howto" / "docker.md"
ELSEWHERE = ("docker compose ", "/usr/bin/python3 -m pytest ")  # compose_test.py; this very run
CONTAINERS, VOLUMES = ("tidings", "restored"), ("tidings-data", "tidings-restored")

pytestmark = pytest.mark.deadline(BUILD_TIMEOUT_S)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"),
                      re.MULTILINE | re.DOTALL)


@pytest.fixture(name="own")
def fixture_own(engine):
    """An engine where the page's names are nobody else's; what they name is gone at the end."""
    if engine.daemon is None:
        pytest.skip("the page's names may be in use on the engine that runs here")
    yield engine
    engine.does("docker", "rm", "--force", *CONTAINERS)
    engine.does("docker", "volume", "rm", "--force", *VOLUMES)


def test_the_page_of_docker_is_true(own, tmp_path):
    ports = free_ports(("8080", "8081", "1883"))
    (configuration,) = blocks("yaml")
    (tmp_path / "tidings.yaml").write_text(configuration, encoding="utf-8")
    said = {}
    for block in blocks("sh"):
        if any(command in block for command in ELSEWHERE):
            continue
        script = re.sub(r"(127\.0\.0\.1|localhost):(808[01]|1883)", lambda found:
                        f"{found[1]}:{ports[found[2]]}", block)
        script = script.replace("docker/Dockerfile", f"{ROOT}/docker/Dockerfile")
        script = script.replace("--tag tidings .", f"--tag tidings {ROOT}")
        said[block] = own.ask("bash", "-euo", "pipefail", "-c", script, cwd=tmp_path,
                              timeout=BUILD_TIMEOUT_S).stdout.decode()
    (run,) = [text for block, text in said.items() if "--detach" in block]
    assert run.endswith('{"score":"40-15"}\n')
    own.ask("docker", "run", "--detach", "--name", CONTAINERS[1], "--env", "TIDINGS_OPEN=1",
            "--publish", f"127.0.0.1:{ports['8080']}:8080", "--volume", "tidings-restored:/data",
            "tidings")
    try:
        own.ask("curl", "--silent", "--retry", "20", "--retry-all-errors",
                f"http://localhost:{ports['8080']}/channels/tennis/court-1")
        page = http.request(f"http://localhost:{ports['8080']}", "GET", "/channels/tennis/court-1")
        assert [message["data"] for message in page.json()["messages"]] == [{"score": "40-15"}]
    finally:
        own.ask("docker", "rm", "--force", CONTAINERS[1])
