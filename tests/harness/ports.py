# SPDX-License-Identifier: Apache-2.0
"""Ports that a test keeps: also while nobody listens there, and over ends and starts.

They stand below those that the kernel gives to clients and to port 0, so that no connection takes
one in between, and a name of the kernel says to the tests of other processes that it is taken. The
kernel forgets the name when the process ends, however that comes about.
"""
import random
import socket

FIRST, END = 20000, 32000  # Linux gives away 32768 to 60999
kept = {}  # port -> the socket that has its name


def claim(port):
    """Whether the port is this process's now; False where it is anybody's."""
    if port in kept:
        return False
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0tidings-test-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        name.close()
        return False
    kept[port] = name
    return True


def take_port():
    """One that is no other test's until this process ends, or gives it back."""
    while not claim(port := random.randrange(FIRST, END)):
        pass
    return port


def give_port(port):
    kept.pop(port).close()
