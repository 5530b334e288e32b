# SPDX-License-Identifier: Apache-2.0
"""One engine for all that needs one."""
import pytest

from harness.docker import Engine, NoEngine


@pytest.fixture(scope="session", name="engine")
def fixture_engine():
    engine = Engine()
    try:
        try:
            engine.start()
            engine.provide_base()
        except NoEngine as why:
            pytest.skip(f"no Docker engine: {why}")
        yield engine
    finally:
        engine.close()
