# SPDX-License-Identifier: Apache-2.0
"""One engine for all that needs one."""
import pytest
import yaml

from harness.docker import COMPOSE_FILE, Engine, NoEngine


@pytest.fixture(scope="session", name="engine")
def fixture_engine():
    engine = Engine()
    try:
        try:
            engine.start()
            engine.provide_base()
        except NoEngine as why:
            pytest.skip(f"no Docker engine: {why}")
        services = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]
        engine.provide_prometheus(services["prometheus"]["image"])
        yield engine
    finally:
        engine.close()
