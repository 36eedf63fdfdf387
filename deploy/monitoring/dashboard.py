"""Writes dashboard.json, or says that it is stale (--check). Imports into Grafana 10 and later."""

import json
import pathlib
import sys

TARGET = pathlib.Path(__file__).resolve().parent / "dashboard.json"
REASONS = "https://github.com/grafana-token-proxy/grafana-token-proxy/blob/main/docs/reasons.md"
ONE = '{job=~"$job", instance=~"$instance"}'
P = "grafana_token_proxy_"


def where(more=""):
    return f'{{job=~"$job", instance=~"$instance"{", " + more if more else ""}}}'


def rate(metric, more=""):
    return f"rate({P}{metric}{where(more)}[$__rate_interval])"


class Board:
    def __init__(self):
        self.panels, self.y, self.x, self.height = [], 0, 0, 0

    def place(self, width, height):
        if self.x + width > 24:
            self.x, self.y, self.height = 0, self.y + self.height, 0
        position = {"x": self.x, "y": self.y, "w": width, "h": height}
        self.x, self.height = self.x + width, max(self.height, height)
        return position

    def row(self, title):
        self.x, self.y, self.height = 0, self.y + self.height, 0
        self.panels.append({"id": len(self.panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": self.y, "w": 24, "h": 1}})
        self.y += 1

    def panel(self, kind, title, description, unit, queries, width=8, height=8, source="$datasource", stack=False, steps=None, **options):
        custom = {}
        if kind == "timeseries":
            custom = {"fillOpacity": 30 if stack else 8, "lineWidth": 1, "showPoints": "never", "stacking": {"mode": "normal" if stack else "none"}}
        thresholds = steps or [(None, "green")]
        defaults = {"unit": unit, "custom": custom, "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in thresholds]}}
        if kind == "timeseries":
            defaults["min"] = 0
            options = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}, **options}
        if kind == "stat":
            options = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, **options}
        kind_of = "loki" if source == "$loki" else "prometheus"
        targets = [
            {"refId": chr(65 + at), "expr": query, "legendFormat": legend, "datasource": {"type": kind_of, "uid": source}, **({"instant": True, "format": "table"} if kind == "table" else {})}
            for at, (query, legend) in enumerate(queries)
        ]
        self.panels.append(
            {
                "id": len(self.panels) + 1,
                "type": kind,
                "title": title,
                "description": description,
                "datasource": {"type": kind_of, "uid": source},
                "gridPos": self.place(width, height),
                "fieldConfig": {"defaults": defaults, "overrides": []},
                "options": options,
                "targets": targets,
                "links": [{"title": "What each reason means", "url": REASONS, "targetBlank": True}] if "reason" in title.lower() else [],
            }
        )


def fill(board):
    total, refused = f'sum({rate("http_requests_total")})', f'sum({rate("refusals_total")})'
    board.row("What happens")
    board.panel("stat", "Requests", "Requests answered in a second, refused ones included.", "reqps", [(total, "")], 4, 5)
    board.panel("stat", "Refused", "Share of the requests that anybody refused: the proxy, Grafana, a datasource or a hop.", "percentunit", [(f"({refused} or vector(0)) / ({total} > 0)", "")], 4, 5, steps=[(None, "green"), (0.05, "orange"), (0.2, "red")])
    board.panel("stat", "In flight", "Requests whose answer has not ended.", "short", [(f'sum({P}http_requests_in_flight{ONE})', "")], 4, 5)
    board.panel("stat", "WebSockets", "Open WebSocket connections: Grafana Live.", "short", [(f'sum({P}upgrades_active{ONE})', "")], 4, 5)
    board.panel("stat", "Replicas", "Proxies that answer the scraper.", "short", [(f'count({P}build_info{ONE})', "")], 4, 5)
    board.panel("stat", "Configurations", "Different configurations in force: more than one for long means that a replica has not taken a change.", "short", [(f'count(count by (hash) ({P}config_hash_info{ONE}))', "")], 4, 5, steps=[(None, "green"), (2, "orange")])
    board.panel("timeseries", "Requests by status", "Answers in a second, by status.", "reqps", [(f'sum by (code) ({rate("http_requests_total")})', "{{code}}")], 8, 8, stack=True)
    board.panel("timeseries", "Who refuses", "proxy: a limit or a rule of ours. grafana: Grafana itself. datasource: what is behind Grafana. hop: something between. client: the request could not be read.", "reqps", [(f'sum by (source) ({rate("refusals_total")})', "{{source}}")], 8, 8, stack=True)
    quantile = lambda share, metric: f'histogram_quantile({share}, sum by (le) ({rate(metric + "_bucket")}))'  # noqa: E731
    board.panel("timeseries", "Time to the first byte of the answer", "The whole, and the part of it that was the proxy's own.", "s", [(quantile(0.5, "http_request_duration_seconds"), "whole, median"), (quantile(0.99, "http_request_duration_seconds"), "whole, 99 %"), (quantile(0.5, "overhead_seconds"), "proxy, median"), (quantile(0.99, "overhead_seconds"), "proxy, 99 %")], 8, 8)

    board.row("Refusals")
    board.panel("timeseries", "Refusals by reason", "Each reason has its own cause and cure: see the link.", "reqps", [(f'sum by (reason) ({rate("refusals_total")})', "{{reason}}")], 12, 9, stack=True)
    board.panel("timeseries", "Refusals by caller", "Named callers (`tokens`), `other` for other credentials, `none` for none.", "reqps", [(f'sum by (token) ({rate("refusals_total")})', "{{token}}")], 6, 9, stack=True)
    board.panel("table", "Refusals in this range, by reason", "How many, who refused, and whose request it was.", "short", [(f'sort_desc(sum by (reason, source, token) (increase({P}refusals_total{ONE}[$__range])) > 0)', "")], 6, 9)

    board.row("Credentials")
    board.panel("timeseries", "Repaired headers", "Damage to Authorization that was mended. Each kind is a client, or a hop, to mend at its source.", "reqps", [(f'sum by (change) ({rate("authorization_changes_total")}) > 0', "{{change}}")], 12, 8, stack=True)
    lost = 'reason=~"credential_not_recognised|credential_missing"'
    board.panel("timeseries", "Header lost", "credential_not_recognised: lost between the proxy and Grafana. credential_missing: it never arrived here.", "reqps", [(f'sum by (reason) ({rate("refusals_total", lost)})', "{{reason}}")], 6, 8)
    bad = 'source="grafana", reason=~"token_.+|service_account_disabled|org_mismatch"'
    board.panel("timeseries", "Bad tokens", "Tokens that Grafana refuses: unknown, expired, revoked, damaged, of another organisation.", "reqps", [(f'sum by (reason) ({rate("refusals_total", bad)})', "{{reason}}")], 6, 8)

    board.row("Limits")
    refusing = 'decision!="allowed"'
    board.panel("timeseries", "Refused by a limit", "refused: enforced. shadow: would have been refused (`limits.mode: shadow`).", "reqps", [(f'sum by (policy, decision) ({rate("ratelimit_decisions_total", refusing)})', "{{policy}} {{decision}}")], 8, 8)
    board.panel("timeseries", "Near the limit", "Requests that left less than a fifth of their budget.", "reqps", [(f'sum by (policy) ({rate("ratelimit_near_limit_total")})', "{{policy}}")], 6, 8)
    board.panel("timeseries", "Buckets", "Tokens, users and addresses with a budget that is not full; `limits.max_tracked` is the most.", "short", [(f'{P}ratelimit_tracked{ONE}', "{{instance}}")], 5, 8)
    board.panel("timeseries", "Where limits are decided", "local: in this replica. shared: in Redis, for all. degraded: Redis does not answer, `limits.shared_failure` holds.", "short", [(f'sum by (state) ({P}ratelimit_backend{ONE})', "{{state}}")], 5, 8, stack=True)

    board.row("The proxy itself")
    board.panel("timeseries", "Connections", "Of clients, and to Grafana.", "short", [(f'sum({P}connections_active{ONE})', "clients"), (f'sum by (state) ({P}upstream_connections{ONE})', "Grafana, {{state}}")], 6, 8)
    board.panel("timeseries", "Processor", "Seconds of processor time in a second: 1 is a core.", "short", [(f'rate(process_cpu_seconds_total{ONE}[$__rate_interval]) and on (job, instance) {P}build_info', "{{instance}}")], 6, 8)
    board.panel("timeseries", "Memory", "Resident memory.", "bytes", [(f'process_resident_memory_bytes{ONE} and on (job, instance) {P}build_info', "{{instance}}")], 6, 8)
    board.panel("timeseries", "Files", "Share of the file descriptors that may be open.", "percentunit", [(f'process_open_fds{ONE} / process_max_fds{ONE} and on (job, instance) {P}build_info', "{{instance}}")], 6, 8)
    board.panel("timeseries", "Reloads", "Attempts to load the configuration anew.", "short", [(f'sum by (result) (increase({P}config_reloads_total{ONE}[$__rate_interval]))', "{{result}}")], 6, 7)
    board.panel("stat", "Last reload taken", "1: what was read last is in force. 0: it was faulty, and the one before is.", "short", [(f'min({P}config_last_reload_successful{ONE})', "")], 4, 7, steps=[(None, "red"), (1, "green")])
    board.panel("stat", "Certificate ends in", "Of the certificates that are served, the first to end. Empty without TLS.", "s", [(f'min({P}tls_certificate_expiry_timestamp_seconds{ONE}) - time()', "")], 4, 7, steps=[(None, "red"), (20 * 86400, "green")])
    board.panel("stat", "Log lines lost", "Lost in this range, since nobody read the log in time.", "short", [(f'sum(increase({P}log_lines_dropped_total{ONE}[$__range]))', "")], 4, 7, steps=[(None, "green"), (1, "orange")])
    board.panel("table", "Versions", "Which versions run where.", "short", [(f'count by (instance, version) ({P}build_info{ONE})', "")], 6, 7)

    board.row("Log (Loki)")
    board.panel("logs", "Refusals, with reason and next step", "Needs Loki, and the labels by which it finds the proxy's log: `$logs`.", "short", [('{$logs} | json | event="request_refused" | line_format "{{.status}} {{.reason}} {{.method}} {{.path}} {{.token_name}}{{.token_fingerprint}}: {{.hint}}"', "")], 24, 9, source="$loki", showTime=True, wrapLogMessage=True)


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": {"type": "prometheus", "uid": "$datasource"}, "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "sort": 1}


def main():
    board = Board()
    fill(board)
    dashboard = {
        "uid": "grafana-token-proxy",
        "title": "grafana-token-proxy",
        "description": "Who calls Grafana's API through the proxy, what is refused and why, and how the proxy does.",
        "tags": ["grafana", "proxy", "api"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
                {"name": "loki", "label": "Loki", "type": "datasource", "query": "loki", "current": {}},
                variable("job", "Job", f"label_values({P}build_info, job)"),
                variable("instance", "Instance", f'label_values({P}build_info{{job=~"$job"}}, instance)'),
                {"name": "logs", "label": "Log labels", "type": "textbox", "query": 'container="token-proxy"', "current": {"text": 'container="token-proxy"', "value": 'container="token-proxy"'}},
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": board.panels,
    }
    wanted = json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        TARGET.write_text(wanted)
    elif TARGET.read_text() != wanted:
        sys.exit("deploy/monitoring/dashboard.json is stale: python3 deploy/monitoring/dashboard.py")


main()
