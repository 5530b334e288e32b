# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine: the one that runs here, else one of ours, with its files, until the end.

Where no registry can be reached, Debian's own packages stand in for the images that are not there.
Where neither goes on, in the middle of something too, the test is skipped with its words.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from harness import processes
from harness.broker import wait_for
from harness.ports import take_port

BUILD_TIMEOUT_S = 1200
PULL_TIMEOUT_S = 90  # 5 s where there is a registry; one that says nothing is none
BASE_TIMEOUT_S = 600  # of debootstrap: 40 s on an idle machine, 250 s beside forty others
MIRROR_TIMEOUT_S = 120  # it gives up by itself sooner, and is slow beside others
START_TIMEOUT_S = 60
# Of debootstrap's wget, which would wait for a quarter of an hour; and of apt in a container.
WGETRC = "timeout = 20\ntries = 2\n"
ASK_MIRROR = ("apt-get", "-qq", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1",
              "-o", "APT::Update::Error-Mode=any", "update")
BASE = "debian:bookworm-slim"
# What the official image leaves out too, so that sizes can be compared.
SLIM = tuple(f"usr/share/{name}" for name in ("doc", "info", "lintian", "locale", "man"))
PROMETHEUS = f"""
FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends prometheus
RUN install -d -o nobody -g nogroup /prometheus
USER nobody
VOLUME /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""
# What apt and an engine say of a mirror or a registry that does not go on: no fault of ours.
BROKE_OFF = re.compile(r"(Failed|Unable) to fetch|Some index files failed|Temporary failure|"
                       r"toomanyrequests|TLS handshake timeout|i/o timeout|no such host")
FORWARDING = pathlib.Path("/proc/sys/net/ipv4/ip_forward")


def free_ports(names):
    """A port for each name, that no other test has."""
    return {name: str(take_port()) for name in names}


class NoEngine(Exception):
    """Says why there is none."""


class Engine:
    """`environment` makes docker and Compose talk to it."""

    def __init__(self):
        self.environment = dict(os.environ)
        self.daemon = self.rules = self.forwarding = None
        self.made = []
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidings-docker-"))

    # --- its life ---

    def start(self):
        """Raises NoEngine."""
        if shutil.which("docker") is None:
            raise NoEngine("docker is not installed")
        if self.answers():
            return self
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            raise NoEngine("none runs, and only root can start dockerd")
        # Each table by its name: else one that has no rule yet is left out, and would keep ours.
        try:
            self.rules = b"".join(
                subprocess.run(["iptables-save", "--table", table], capture_output=True,
                               check=True).stdout for table in ("filter", "nat"))
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoEngine(f"dockerd needs iptables: {error}") from error
        self.forwarding = FORWARDING.read_text(encoding="ascii")
        self.environment["DOCKER_HOST"] = f"unix://{self.scratch}/socket"
        with open(self.scratch / "log", "wb") as log:
            self.daemon = subprocess.Popen(
                ["dockerd", "--host", self.environment["DOCKER_HOST"],
                 "--pidfile", self.scratch / "pid", "--data-root", self.scratch / "data",
                 "--exec-root", self.scratch / "exec"], stdout=log, stderr=log)
        try:
            wait_for(lambda: self.answers() or self.daemon.poll() is not None, START_TIMEOUT_S)
            is_up = self.daemon.poll() is None
        except TimeoutError:
            is_up = False
        if not is_up:
            words = (self.scratch / "log").read_text(encoding="utf-8").splitlines()
            raise NoEngine(f"dockerd does not start here: {''.join(words[-1:])}")
        return self

    def answers(self):
        return self.does("docker", "version")

    def close(self):
        """Whatever of it cannot be put back is no claim: where no engine starts, little can."""
        if self.daemon is None:
            if self.made:
                self.does("docker", "image", "rm", "--force", *self.made)
        else:
            processes.end(self.daemon, 60)
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
            subprocess.run(["iptables-restore"], input=self.rules, check=False)
            if FORWARDING.read_text(encoding="ascii") != self.forwarding:
                FORWARDING.write_text(self.forwarding, encoding="ascii")
            self.unmount()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def unmount(self):
        """What a daemon that had to be killed left mounted."""
        lines = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for place in reversed([line.split()[1] for line in lines]):
            if place.startswith(f"{self.scratch}/"):
                subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)

    # --- what it is asked ---

    def ask(self, *command, is_claim=True, timeout=120, **options):
        """Runs the command against this engine; what it said on both outputs is in `stdout`."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.STDOUT, "env": self.environment} | options
        if "input" in options:
            del options["stdin"]
        done = subprocess.run([str(word) for word in command], timeout=timeout, check=False,
                              **options)
        if is_claim and done.returncode != 0:
            said = (done.stdout or b"").decode("utf-8", "replace")
            if found := BROKE_OFF.search(said):
                pytest.skip(f"a mirror or a registry broke off: {said[found.start():][:200]}")
            raise AssertionError(f"{command}:\n{said[-4000:]}")
        return done

    def does(self, *command, **options):
        """True: it did that, in its time."""
        try:
            return self.ask(*command, is_claim=False, **options).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    # --- images that others publish ---

    def has(self, image):
        return self.does("docker", "image", "inspect", image) or \
            self.does("docker", "pull", "--quiet", image, timeout=PULL_TIMEOUT_S)

    def provide_base(self):
        """Debian slim, as a registry has it, or made of Debian's packages. Raises NoEngine, also
        where a container gets none of these: an image is made of nothing else."""
        if not self.has(BASE):
            self.make_base()
        if not self.does("docker", "run", "--rm", BASE, *ASK_MIRROR, timeout=MIRROR_TIMEOUT_S):
            raise NoEngine("a container cannot get Debian's packages")

    def make_base(self):
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            raise NoEngine(f"{BASE} cannot be pulled, nor made without root and debootstrap")
        root = self.scratch / "root"
        rules = root / "etc/dpkg/dpkg.cfg.d/slim"
        rules.parent.mkdir(parents=True)
        rules.write_text("".join(f"path-exclude /{path}/*\n" for path in SLIM), encoding="ascii")
        (self.scratch / "wgetrc").write_text(WGETRC, encoding="ascii")
        with open(self.scratch / "debootstrap.log", "wb") as log:
            if not self.does("timeout", BASE_TIMEOUT_S, "debootstrap", "--variant=minbase",
                             "bookworm", root, stdout=log, timeout=BASE_TIMEOUT_S + 30,
                             env=self.environment | {"WGETRC": str(self.scratch / "wgetrc")}):
                raise NoEngine(f"{BASE} cannot be pulled, nor made: no mirror of Debian answers")
        for path in (*SLIM, "var/cache/apt", "var/lib/apt/lists"):  # debootstrap heeds no rule
            shutil.rmtree(root / path, ignore_errors=True)
        with subprocess.Popen(["tar", "-C", root, "--numeric-owner", "-c", "."],
                              stdout=subprocess.PIPE) as tar:
            self.ask("docker", "import", "-", BASE, stdin=tar.stdout, timeout=BUILD_TIMEOUT_S)
        assert tar.returncode == 0
        shutil.rmtree(root)
        self.made.append(BASE)

    def provide_prometheus(self, image):
        """The image of that name, or Debian's Prometheus under its name."""
        if not self.has(image):
            self.ask("docker", "build", "--tag", image, "-", input=PROMETHEUS.encode(),
                     timeout=BUILD_TIMEOUT_S)
            self.made.append(image)
