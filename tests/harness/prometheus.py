# SPDX-License-Identifier: Apache-2.0
"""The real Prometheus as a process: on a free port, with its data in a folder of its own."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
from urllib.parse import urlencode

from harness import http
from harness.broker import wait_for
from harness.processes import end


class Prometheus:
    """`config` is the text of prometheus.yml."""

    def __init__(self, config):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidings-prometheus-"))
        self.said, self.url, self.process = [], None, None
        (self.scratch / "prometheus.yml").write_text(config, encoding="utf-8")

    def __enter__(self):
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.scratch}/prometheus.yml",
             f"--storage.tsdb.path={self.scratch}/data", "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        try:
            self.url = wait_for(self.find_url, 60, "Prometheus")
            wait_for(self.is_ready, 60, "Prometheus' log")
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def listen(self):
        for line in self.process.stderr:
            self.said.append(line)
        self.process.stderr.close()

    def find_url(self):
        assert self.process.poll() is None, "".join(self.said)
        for line in list(self.said):
            found = re.search(r'msg="Listening on" address=(\S+)', line)
            if found:
                return f"http://{found.group(1)}"
        return None

    def is_ready(self):
        return http.request(self.url, "GET", "/-/ready").status == 200

    def ask(self, path, **parameters):
        target = path + ("?" + urlencode(parameters) if parameters else "")
        answer = http.request(self.url, "GET", target).json()
        assert answer["status"] == "success", json.dumps(answer)
        return answer["data"]

    def query(self, expression):
        """[(labels, number)] of now."""
        return [(row["metric"], float(row["value"][1]))
                for row in self.ask("/api/v1/query", query=expression)["result"]]
