"""Writes prometheusrule.yaml from rules.yaml, or says that it is stale (--check)."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEAD = """\
# rules.yaml for the prometheus-operator; made from it by operator.py.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: grafana-token-proxy
  labels:
    release: monitoring
spec:
"""

rules = (HERE / "rules.yaml").read_text()
groups = rules[rules.index("groups:\n") :]
wanted = HEAD + "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))
target = HERE / "prometheusrule.yaml"
if "--check" not in sys.argv:
    target.write_text(wanted)
elif target.read_text() != wanted:
    sys.exit("deploy/monitoring/prometheusrule.yaml is stale: python3 deploy/monitoring/operator.py")
