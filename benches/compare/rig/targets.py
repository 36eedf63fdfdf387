"""What is measured: our proxy, nginx doing the same work, and the relay that does none."""

import functools
import os
import signal
import subprocess
import sys

from dataclasses import dataclass, field
from pathlib import Path

from .processes import Failure, Process, free_port, require
from .setups import PLAIN, pair

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
    client_max_body_size 0;
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
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        "" "";
    }}
    limit_req_zone $authorization zone=token:32m rate={rate};
    limit_req_status 429;
    limit_req_log_level info;
    upstream grafana {{
        server 127.0.0.1:{upstream};
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{speaks};
        {certificate}
        location / {{
            limit_req zone=token burst={burst} nodelay;
            proxy_pass http://grafana;
            proxy_http_version 1.1;
            {upgrade}
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
    silent: bool = False  # has no answer to a question of HTTP/1 in the clear

    def start(self, folder, core=None, before=()):
        """Starts it, behind the words of `before` (valgrind …), and waits until it answers."""
        log = Path(folder) / f"{self.name}-{self.port}.log"
        process = Process(self.name, [*before, *self.command], log, core, self.stop_signal, self.environment)
        try:
            # Who speaks TLS or HTTP/2 alone has no answer to a plain question; that it listens must do.
            return process.wait_until_listening(self.port) if self.silent else process.wait_for_answer(self.port)
        except BaseException:
            process.__exit__()
            raise


@functools.cache
def cargo_build(folder):
    """A release build, once in a run, quiet unless it fails."""
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


def ours(binary, upstream, folder=None, setup=PLAIN, workers=1, more=()):
    """Our proxy, with every feature on."""
    port = free_port()
    command = [binary, "run", "--upstream", f"http://127.0.0.1:{upstream}", "--listen", f"127.0.0.1:{port}"]
    command += ["--telemetry", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]
    rate, burst = setup.rate
    command += ["--workers", str(workers), "--org", "1", "--rate", f"{rate}/{'h' if setup.limited else 's'}", "--burst", burst]
    command += ["--limits-auth-failures-rate", "1000000/s", "--limits-auth-failures-burst", "1000000"]
    if setup.tls:
        command += ["--tls-cert-file", pair(folder).certificate, "--tls-key-file", pair(folder).key]
    if setup.http2:
        command += ["--http-h2c", "on"]
    return Target(OURS, [*command, *more], port, silent=setup.tls)


def nginx(folder, upstream, open_files=16384, setup=PLAIN, keepalive=512):
    """nginx with the same work, one process, in a folder of its own; it keeps so many idle connections to the upstream."""
    port = free_port()
    keys, folder = pair(folder) if setup.tls else None, Path(folder) / f"nginx-{port}"
    folder.mkdir()
    rate, burst = setup.rate
    text = NGINX_CONFIGURATION.format(
        folder=folder,
        upstream=upstream,
        port=port,
        open_files=open_files,
        connections=min(open_files, 16384),
        rate="1r/m" if setup.limited else f"{rate}r/s",
        burst=burst,
        speaks=" ssl" if setup.tls else " http2" if setup.http2 else "",
        certificate=f"ssl_certificate {keys.certificate}; ssl_certificate_key {keys.key};" if keys else "",
        # A second header for each request is no part of the work where nobody upgrades.
        upgrade="proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
        if setup.tunnel
        else 'proxy_set_header Connection "";',
        keepalive=keepalive,
    )
    (folder / "nginx.conf").write_text(text)
    command = [require("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    return Target(NGINX, command, port, signal.SIGQUIT, silent=setup.tls or setup.http2)


def relay(upstream):
    """The floor: bytes copied, nothing read."""
    port = free_port()
    return Target(RELAY, [tool("relay"), port, upstream], port)
