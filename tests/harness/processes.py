# SPDX-License-Identifier: Apache-2.0
"""Processes that are started beside the broker: whether they listen, and their end."""
import socket
import subprocess

END_S = 20


def is_open(port):
    """Somebody listens there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def end(process, timeout_s=END_S):
    """By SIGTERM; one that stays is killed. Harmless of one that has ended, and of None."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
