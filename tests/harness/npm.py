# SPDX-License-Identifier: Apache-2.0
"""What npm has and Debian has not: files of the packages that clients/javascript locks."""
import fcntl
import json
import pathlib
import subprocess

CLIENT = pathlib.Path(__file__).resolve().parents[2] / "clients" / "javascript"


def read_json(name):
    """A file below node_modules, which are installed first where they are not. Whoever asks
    meanwhile, in another process too, waits for that."""
    path = CLIENT / "node_modules" / name
    with open(CLIENT / "package-lock.json", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"],
                           cwd=CLIENT, check=True)
        return json.loads(path.read_text(encoding="utf-8"))
