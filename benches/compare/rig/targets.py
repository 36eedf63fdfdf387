"""What is measured: our proxy, nginx doing the same work, and the relay that does none."""

import os
import signal
import subprocess
import sys

from dataclasses import dataclass, field
from pathlib import Path

from .processes import Failure, Process, free_port, require

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
OURS, NGINX, RELAY = "grafana-token-proxy", "nginx", "relay"

# Equal work: the prefix added by a map, a keyed limit that never refuses, the organisation, the forwarding headers.
# Less work than ours: no checksum, no repairs but one, no request id, no removal of headers that Connection nominates.
NGINX_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile {open_files};
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    map $http_authorization $authorization {{
        default $http_authorization;
        "~^(glsa_|eyJrIjoi)" "Bearer $http_authorization";
    }}
    limit_req_zone $authorization zone=token:32m rate=1000000r/s;
    upstream grafana {{
        server 127.0.0.1:{upstream};
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            limit_req zone=token burst=1000000 nodelay;
            proxy_pass http://grafana;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header Authorization $authorization;
            proxy_set_header X-Grafana-Org-Id 1;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


@dataclass
class Target:
    """A program that can be started any number of times, each time on a port of its own."""

    name: str
    command: list
    port: int
    stop_signal: signal.Signals = signal.SIGTERM
    environment: dict = field(default_factory=dict)

    def start(self, folder, core=None, before=()):
        """Starts it, behind the words of `before` (valgrind …), and waits until it answers."""
        log = Path(folder) / f"{self.name}-{self.port}.log"
        process = Process(self.name, [*before, *self.command], log, core, self.stop_signal, self.environment)
        try:
            return process.wait_for_answer(self.port)
        except BaseException:
            process.__exit__()
            raise


def cargo_build(folder):
    """A release build, quiet unless it fails."""
    print(f"building {folder.relative_to(ROOT) if folder != ROOT else OURS} (release)", file=sys.stderr, flush=True)
    built = subprocess.run(
        [require("cargo", "cargo"), "build", "--release", "--locked", "--quiet"], cwd=folder, check=False
    )
    if built.returncode != 0:
        raise Failure(f"cargo build --release failed in {folder}")


def tool(name):
    """One of the programs of this package: stub, load, relay, first_answer."""
    return Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release" / name


def build(binary=None):
    """Builds all, and gives the path of our binary: the given one, or a fresh release build."""
    cargo_build(HERE)
    if binary is None:
        cargo_build(ROOT)
        return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / OURS
    return existing(binary)


def existing(binary):
    """The path of a program that somebody names."""
    binary = Path(binary).resolve()
    if not os.access(binary, os.X_OK):
        raise Failure(f"{binary} is no program that can be run")
    return binary


def stub(folder, core=None):
    """The upstream: (process, port)."""
    port = free_port()
    return Process("stub", [tool("stub"), port], Path(folder) / "stub.log", core).wait_for_answer(port), port


def ours(binary, upstream, workers=1, more=()):
    """Our proxy, with every feature on and a limit that never refuses."""
    port = free_port()
    command = [binary, "run", "--upstream", f"http://127.0.0.1:{upstream}", "--listen", f"127.0.0.1:{port}"]
    command += ["--telemetry", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]
    command += ["--workers", str(workers), "--org", "1", "--rate", "1000000/s", "--burst", "1000000"]
    command += ["--limits-auth-failures-rate", "1000000/s", "--limits-auth-failures-burst", "1000000"]
    return Target(OURS, [*command, *more], port)


def nginx(folder, upstream, open_files=16384, keepalive=512):
    """nginx with the same work, one process, in a folder of its own; it keeps so many idle connections to the upstream."""
    port = free_port()
    folder = Path(folder) / f"nginx-{port}"
    folder.mkdir()
    text = NGINX_CONFIGURATION.format(
        folder=folder,
        upstream=upstream,
        port=port,
        open_files=open_files,
        connections=min(open_files, 16384),
        keepalive=keepalive,
    )
    (folder / "nginx.conf").write_text(text)
    command = [require("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    return Target(NGINX, command, port, signal.SIGQUIT)


def relay(upstream):
    """The floor: bytes copied, nothing read."""
    port = free_port()
    return Target(RELAY, [tool("relay"), port, upstream], port)
