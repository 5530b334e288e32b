# SPDX-License-Identifier: Apache-2.0
"""TLS under attack: half handshakes, drips, garbage, floods of whole ones, renegotiation."""
import os
import socket
import ssl
import subprocess

import pytest
from harness import certificates
from harness.broker import wait_for

from attacks import Attack, port_of
from bystander import assert_came, play
from forms import CONNECTIONS, DEADLINE_S, IS_LONG, LEAST, SECONDS

pytestmark = [pytest.mark.heavy, pytest.mark.deadline(DEADLINE_S)]

CONFIG = """
public: {{ tls: {{ certificate: "{pair[0]}", key: "{pair[1]}" }} }}
mqtt: {{ tls_listen: "127.0.0.1:0" }}
"""
NAMES = ("public", "mqtts")
# Each costs the broker a signature and a key, about a third of a millisecond: 20,000 in the long
# form's time leave one core half to the others.
HALF_OPEN_S = 20 if IS_LONG else 10
DOORS = pytest.mark.parametrize("door", NAMES)


@pytest.fixture(name="encrypted")
def start_encrypted_broker(start_broker):
    return start_broker(config=CONFIG.format(pair=certificates.server_pair()),
                        context=certificates.client_context())


def hello():
    """A whole ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=certificates.NAME).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read().decode("latin-1")


# Both doors are one code: the second half a minute is for the long form.
@pytest.mark.parametrize("door", NAMES if IS_LONG else NAMES[:1])
@pytest.mark.deadline(240)
def test_twenty_thousand_handshakes_that_stop_behind_the_hello(encrypted, door):
    part = ("half_open", {"port": port_of(getattr(encrypted, door)), "total": 10000, "held": 3000,
                          "first": hello()})
    told = play(encrypted, Attack(f"half handshakes, {door}", HALF_OPEN_S, part, part))
    assert_came(told, told["opened"] + told["refused"], 20000 * LEAST)
    wait_for(lambda: encrypted.descriptor_count() < 200, 60, "the descriptors")


@DOORS
def test_handshakes_by_the_byte(encrypted, door):
    told = play(encrypted, Attack(f"drips of a hello, {door}", SECONDS, ("drip", {
        "port": port_of(getattr(encrypted, door)), "connections": CONNECTIONS, "head": "",
        "tail": hello()})))
    assert_came(told, told["opened"], CONNECTIONS * LEAST)


def test_a_flood_of_whole_handshakes(encrypted):
    told = play(encrypted, Attack("handshakes", SECONDS, ("handshakes", {
        "port": port_of(encrypted.public), "rate": 400})))
    assert_came(told, told["handshakes"], 50 * LEAST)


GARBAGE = {
    "plain HTTP": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a record too large": "\x16\x03\x01\x40\x00" + "\xff" * 16384,
    "a hello that lies": "\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff",
    "alerts": "\x15\x03\x03\x00\x02\x02\x28" * 100,
    "SSL 2": "\x80\x2e\x01\x00\x02" + "\0" * 45,
    "data first": "\x17\x03\x03\xff\xff" + "\0" * 1000,
}


def test_garbage(encrypted):
    told = play(encrypted, Attack("garbage", SECONDS, *(("raw", {
        "port": port_of(encrypted.public), "data": data, "rate": 50})
        for data in GARBAGE.values())))
    assert_came(told, told["answered"] + told["lost"], 1)


def test_random_bytes_behind_a_handshake_end_that_connection_alone(encrypted):
    context = certificates.client_context()
    with encrypted.events("/channels/a") as stream:
        for _ in range(50):
            plain = socket.create_connection(("127.0.0.1", port_of(encrypted.public)), 10)
            with context.wrap_socket(plain, server_hostname="localhost") as one:
                os.write(one.fileno(), os.urandom(2000))
                one.settimeout(10)
                with pytest.raises((OSError, ssl.SSLError)):
                    while one.recv(4096):
                        pass
                    raise ConnectionError  # the end is as good
        assert encrypted.post("a", b"1").status == 200
        assert stream.next().json()["data"] == 1


def test_a_client_cannot_make_the_broker_negotiate_anew(encrypted):
    """In 1.2 a client could ask for handshake after handshake on one connection."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port_of(encrypted.public)}", "-tls1_2",
         "-CAfile", str(certificates.authority().certificate)], input=b"R\n" * 3, timeout=30,
        capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert "RENEGOTIATING" in said, said[-2000:]
    assert "no renegotiation" in said.lower() or done.returncode != 0, said[-2000:]
    encrypted.assert_alive()
