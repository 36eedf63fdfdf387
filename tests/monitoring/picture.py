"""Draws the dashboard as a page, from its definition and what a Prometheus answers: picture.py URL SECONDS OUT.html

No Grafana can be installed from a package registry; this shows what its panels would hold, in their places.
"""

import html
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

DASHBOARD = pathlib.Path(__file__).resolve().parents[2] / "deploy/monitoring/dashboard.json"
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a", "#96d98d", "#ffb357", "#ff7383", "#ca95e5"]
CELL, ROW = 56, 30


def ask(url, kind, **parameters):
    with urllib.request.urlopen(f"{url}/api/v1/{kind}?{urllib.parse.urlencode(parameters)}") as answer:
        return json.load(answer)["data"]["result"]


def filled(query):
    values = {"$__rate_interval": "20s", "$__range": "5m", "$job": ".+", "$instance": ".+"}
    for name, value in values.items():
        query = query.replace(name, value)
    return query


def legend(pattern, labels):
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern or ", ".join(labels.values())


def shown(value, unit):
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s" and value > 86400:
        return f"{value / 86400:.0f} days"
    if unit == "s":
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    return f"{value:.3g}" + (" req/s" if unit == "reqps" else "")


def series(url, panel, seconds):
    now = time.time()
    for target in panel["targets"]:
        for one in ask(url, "query_range", query=filled(target["expr"]), start=now - seconds, end=now, step=2):
            labels = {key: value for key, value in one["metric"].items() if key != "__name__"}
            points = [(float(at) - now + seconds, float(value)) for at, value in one["values"] if value not in ("NaN", "+Inf")]
            if points:
                yield legend(target["legendFormat"], labels), points


def chart(url, panel, seconds, width, height):
    found = sorted(series(url, panel, seconds), key=lambda one: -max(value for _, value in one[1]))[:12]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stack = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    rows = min(len(found), 4)
    plot_height = height - 36 - 18 * rows - 16
    base, drawn = {}, []
    for name, points in found:
        if stack:
            points = [(at, value + base.get(round(at), 0), base.get(round(at), 0)) for at, value in points]
            base.update({round(at): top for at, top, _ in points})
        else:
            points = [(at, value, 0) for at, value in points]
        drawn.append((name, points))
    top = max([value for _, points in drawn for _, value, _ in points] or [1]) * 1.1 or 1
    left = 62
    across = lambda at: left + at / seconds * (width - left - 12)  # noqa: E731
    down = lambda value: 6 + (1 - value / top) * (plot_height - 12)  # noqa: E731
    out = [f'<svg width="{width}" height="{plot_height + 16}">']
    for part in range(4):
        value = top * part / 3
        out.append(f'<line x1="{left}" x2="{width - 12}" y1="{down(value):.1f}" y2="{down(value):.1f}" stroke="#2c3235"/>')
        out.append(f'<text x="{left - 6}" y="{down(value) + 4:.1f}" text-anchor="end">{html.escape(shown(value, unit))}</text>')
    for part in range(5):
        at = seconds * part / 4
        out.append(f'<text x="{across(at):.0f}" y="{plot_height + 12}" text-anchor="middle">{"now" if part == 4 else f"−{(seconds - at) / 60:.2g} min"}</text>')
    for number, (_, points) in enumerate(drawn):
        line = " ".join(f"{across(at):.1f},{down(value):.1f}" for at, value, _ in points)
        area = line + " " + " ".join(f"{across(at):.1f},{down(low):.1f}" for at, _, low in reversed(points))
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<polygon points="{area}" fill="{colour}" fill-opacity="{0.35 if stack else 0.08}"/>')
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    out.append("</svg><div class=legend>")
    for number, (name, points) in enumerate(found[: rows * 2]):
        out.append(f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{html.escape(name)} <b>{html.escape(shown(points[-1][1], unit))}</b></span>')
    return "".join(out) + "</div>"


def stat(url, panel):
    unit, colour, value = panel["fieldConfig"]["defaults"]["unit"], "#73bf69", None
    for one in ask(url, "query", query=filled(panel["targets"][0]["expr"])):
        value = float(one["value"][1])
    if value is None:
        return '<div class=stat style="color:#8e8e8e">no data</div>'
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}[step["color"]]
    return f'<div class=stat style="color:{colour}">{html.escape(shown(value, unit))}</div>'


def table(url, panel, height):
    found = ask(url, "query", query=filled(panel["targets"][0]["expr"]))
    names = [name for name in (found[0]["metric"] if found else {}) if name != "__name__"]
    rows = [[*(one["metric"].get(name, "") for name in names), f'{float(one["value"][1]):.0f}'] for one in found][: (height - 60) // 21]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in [*names, "value"])
    return f"<table><tr>{head}</tr>" + "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows) + "</table>"


def main(url, seconds, out):
    seconds = float(seconds)
    dashboard = json.loads(DASHBOARD.read_text())
    boxes, bottom = [], 0
    for panel in dashboard["panels"]:
        if panel["type"] == "logs" or panel["title"].startswith("Log ("):
            continue
        place = panel["gridPos"]
        left, top, width, height = place["x"] * CELL, place["y"] * ROW, place["w"] * CELL - 8, place["h"] * ROW - 8
        bottom = max(bottom, top + height)
        style = f"left:{left}px;top:{top}px;width:{width}px;height:{height}px"
        if panel["type"] == "row":
            boxes.append(f'<h2 style="{style}">{html.escape(panel["title"])}</h2>')
            continue
        body = {"stat": lambda: stat(url, panel), "table": lambda: table(url, panel, height)}.get(panel["type"], lambda: chart(url, panel, seconds, width, height))()
        boxes.append(f'<section style="{style}"><h3>{html.escape(panel["title"])}</h3>{body}</section>')
    pathlib.Path(out).write_text(
        "<!doctype html><meta charset=utf-8><style>body{margin:16px;background:#111217;color:#ccccdc;font:13px Inter,Arial,sans-serif}"
        f"main{{position:relative;width:{24 * CELL}px;height:{bottom}px}}main>*{{position:absolute;box-sizing:border-box;margin:0}}"
        "section{background:#181b1f;border:1px solid #2c3235;border-radius:2px;overflow:hidden}h1{font-size:18px;font-weight:500;margin:0 0 12px}"
        "h2{font-size:14px;font-weight:500;padding-top:4px}h3{font-size:13px;font-weight:500;margin:6px 10px 4px}text{fill:#8e8e9e;font-size:11px}"
        ".legend{display:flex;flex-wrap:wrap;gap:2px 14px;padding:2px 10px;font-size:12px}.legend i{display:inline-block;width:12px;height:3px;margin:0 5px 3px 0}"
        ".legend b{font-weight:500;color:#fff}.stat{font-size:30px;font-weight:500;text-align:center;padding-top:18px}"
        "table{border-collapse:collapse;margin:0 10px;font-size:12px}th{color:#6e9fff;font-weight:500;text-align:left}td,th{padding:2px 10px 2px 0;border-bottom:1px solid #2c3235;white-space:nowrap}</style>"
        f"<h1>grafana-token-proxy</h1><main>{''.join(boxes)}</main>"
    )


main(*sys.argv[1:])
