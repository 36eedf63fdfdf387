"""Small multiples as an SVG by hand: a panel for what grows, a line for each program, its quartiles shaded."""

import math

from dataclasses import dataclass
from html import escape

WIDTH, COLUMNS, EDGE, GAP = 860, 2, 24, 28
TOP, PANEL, BELOW = 84, 196, 34
LEFT, RIGHT, HEAD, FOOT = 36, 92, 30, 38  # around the drawing of a panel

# A picture in a page follows the reader's system, not the page: it brings its own paper.
STYLE = """\
svg { --paper: #fbfbfa; --ink: #1c2024; --soft: #5b646e; --line: #dfe3e6; --ours: #1f60c4; --peer: #b35900; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #111217; --ink: #d8d9da; --soft: #9aa3ad; --line: #2c3137; --ours: #6e9fff; --peer: #f2a65a; }
}
text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--soft); }
.paper { fill: var(--paper); } .grid { stroke: var(--line); } .one { stroke: var(--soft); stroke-dasharray: 2 3; }
.title { font-size: 17px; font-weight: 600; fill: var(--ink); } .name { font-size: 13px; font-weight: 600; fill: var(--ink); }
.soft { font-size: 11px; font-weight: 400; fill: var(--soft); }
.ours { --colour: var(--ours); } .peer { --colour: var(--peer); }
.way { fill: none; stroke: var(--colour); stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 5 4; }
.band { fill: var(--colour); opacity: .18; } .dot { fill: var(--colour); }
.base { fill: var(--paper); stroke: var(--colour); stroke-width: 2; }
.end { font-weight: 600; fill: var(--colour); }
"""


@dataclass
class Line:
    """One program: what it is called at the end of its line, and (x, low, median, high) of each point."""

    name: str
    look: str  # "ours" or "peer", and "dashed"
    points: list


@dataclass
class Panel:
    """One thing that grows."""

    title: str
    beside: str  # what the base is called
    ticks: list  # (x, label)
    lines: list
    base: float
    even: bool = False  # places in a row, for what is no number
    steep: bool = False  # an axis of powers of ten, for what grows a thousandfold


def times(value):
    """`1.07×`, as long as the places mean something."""
    return f"{value:.2f}×" if value < 10 else grouped(round(value)) + "×"


def grouped(value):
    """`1 000`."""
    return f"{value:_g}".replace("_", " ") if value < 1000 else f"{round(value):_}".replace("_", " ")


def apart(places, least=13):
    """The same places, moved so that no label stands on another."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    moved = list(places)
    for before, at in zip(order, order[1:]):
        if moved[at] - moved[before] < least:
            middle = (moved[at] + moved[before]) / 2
            moved[before], moved[at] = middle - least / 2, middle + least / 2
    return moved


def text(x, y, words, look="", anchor="start"):
    """Words; `look` is a class."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" text-anchor="{anchor}">{escape(words)}</text>'


def rule(x1, y1, x2, y2, look):
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{look}"/>'


def draw_panel(panel, left, top, rises):
    """One panel, its upper left corner given, and what stands at its upright axis unless it is steep."""
    x0, x1 = left + LEFT, left + (WIDTH - 2 * EDGE - (COLUMNS - 1) * GAP) / COLUMNS - RIGHT
    y0, y1 = top + PANEL - FOOT, top + HEAD
    if panel.steep:
        highest = max(high for line in panel.lines for _, _, _, high in line.points)
        powers = math.ceil(math.log10(max(highest, 2)))
        rises = [10**power for power in range(powers + 1)]

    def at_x(x):
        if panel.even:
            low, high = panel.ticks[0][0], panel.ticks[-1][0]
        else:
            low, high, x = math.log(panel.ticks[0][0]), math.log(panel.ticks[-1][0]), math.log(x)
        return x0 + 8 + (x - low) / (high - low) * (x1 - x0 - 16)

    def at_y(y):
        if panel.steep:
            return y0 - max(0, math.log10(y)) / math.log10(rises[-1]) * (y0 - y1)
        return y0 - y / rises[-1] * (y0 - y1)

    title = panel.title[0].upper() + panel.title[1:]
    named = f'<tspan class="soft" dx="6">base: {escape(panel.beside)}</tspan>'
    drawn = [f'<text x="{left:.1f}" y="{top + 12:.1f}" class="name">{escape(title)}{named}</text>']
    for rise in rises:
        drawn.append(rule(x0, at_y(rise), x1, at_y(rise), "one" if rise == 1 else "grid"))
        drawn.append(text(x0 - 6, at_y(rise) + 4, grouped(rise) + "×", anchor="end"))
    for x, label in panel.ticks:
        drawn.append(rule(at_x(x), y0, at_x(x), y0 + 4, "grid"))
        drawn.append(text(at_x(x), y0 + 17, label, anchor="middle"))
    for line in panel.lines:
        upper = [f"{at_x(x):.1f},{at_y(high):.1f}" for x, _, _, high in line.points]
        lower = [f"{at_x(x):.1f},{at_y(low):.1f}" for x, low, _, _ in reversed(line.points)]
        drawn.append(f'<polygon class="band {line.look}" points="{" ".join(upper + lower)}"/>')
    for line in panel.lines:
        way = " ".join(f"{at_x(x):.1f},{at_y(middle):.1f}" for x, _, middle, _ in line.points)
        drawn.append(f'<polyline class="way {line.look}" points="{way}"/>')
        for x, _, middle, _ in line.points:
            look = f"{'base' if x == panel.base else 'dot'} {line.look.split()[0]}"
            drawn.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(middle):.1f}" r="3" class="{look}"/>')
    ends = apart([at_y(line.points[-1][2]) + 4 for line in panel.lines])
    for line, y in zip(panel.lines, ends):
        drawn.append(text(x1 + 2, y, f"{line.name} {times(line.points[-1][2])}", f"end {line.look.split()[0]}"))
    return "\n".join(drawn)


def draw(panels, title, words, below):
    """The whole picture. All panels but the steep ones share their axis: what is flat has to look flat."""
    flat = [high for panel in panels if not panel.steep for line in panel.lines for _, _, _, high in line.points]
    highest = max(flat, default=1)
    step = 0.5 if highest <= 2.5 else 1
    rises = [step * at for at in range(math.ceil(highest / step) + 1)]
    rows = math.ceil(len(panels) / COLUMNS)
    height = TOP + rows * PANEL + BELOW
    wide = (WIDTH - 2 * EDGE - (COLUMNS - 1) * GAP) / COLUMNS + GAP
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"',
        f' aria-label="{escape(title)}">',
        f"<style>\n{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        text(EDGE, 34, title, "title"),
        text(EDGE, 54, words),
    ]
    for at, panel in enumerate(panels):
        drawn.append(draw_panel(panel, EDGE + at % COLUMNS * wide, TOP + at // COLUMNS * PANEL, rises))
    drawn.append(text(EDGE, height - 16, below))
    return "\n".join([*drawn, "</svg>\n"])
