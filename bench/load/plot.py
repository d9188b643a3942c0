"""Draws the ratios of a comparison as an SVG, without any library."""

from xml.sax.saxutils import escape

from results import Verdict

WIDTH, LEFT, RIGHT, TOP = 860, 250, 70, 92
BAR, GAP, GROUP_GAP = 16, 4, 16
COLOURS = {"nginx": "#2f6f9f", "nginx-stock": "#8fb8d6", "haproxy": "#7a9e3b",
           "corelane": "#b08d57"}
MISSED, INK, FAINT = "#c0392b", "#222222", "#d8d8d8"


def text(x: float, y: float, content: str, **attributes: str) -> str:
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"/>')


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour}"/>')


def groups(verdicts: list[Verdict]) -> list[list[Verdict]]:
    """The verdicts of each workload together, in their order."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.row, []).append(verdict)
    return list(found.values())


def legend(peers: list[str], names: dict[str, str]) -> list[str]:
    entries = [(COLOURS[peer], f"against {names[peer]}") for peer in peers]
    entries.append((MISSED, "above what is required"))
    parts, x = [], 24.0
    for colour, label in entries:
        parts += [rectangle(x, 50, 12, 12, colour), text(x + 18, 60, label)]
        x += 40 + 7 * len(label)
    return [*parts, line(x + 6, 48, x + 6, 64, INK, 3), text(x + 16, 60, "at most required")]


def axis(scale: float, most: float, bottom: float) -> list[str]:
    parts, tick = [], 0.0
    while tick <= most + 1e-9:
        x = LEFT + tick * scale
        # The line at 1 is where Corelane costs as much as its peer.
        even = abs(tick - 1) < 1e-9
        parts += [line(x, TOP - 6, x, bottom, "#888888" if even else FAINT, 1.5 if even else 1),
                  text(x, TOP - 12, f"{tick:.2f}", text_anchor="middle", fill="#555555")]
        tick += 0.25
    return parts


def bar(verdict: Verdict, y: float, scale: float, most: float) -> list[str]:
    length = min(verdict.value, most) * scale
    limit = LEFT + verdict.limit * scale
    colour = COLOURS[verdict.peer] if verdict.met else MISSED
    # The number stands right of bar and limit, whichever reaches further.
    beside = max(LEFT + length, limit) + 8
    return [rectangle(LEFT, y, length, BAR, colour),
            line(limit, y - 2, limit, y + BAR + 2, INK, 3),
            text(beside, y + BAR - 4, f"{verdict.value:.2f}", fill=INK)]


def ratios(verdicts: list[Verdict], names: dict[str, str], subtitle: str) -> str:
    """Two bars a workload, each with the line that it must not cross."""
    most = max(1.25, min(2.0, 0.25 * (int(max(v.value for v in verdicts) / 0.25) + 1)))
    scale = (WIDTH - LEFT - RIGHT) / most
    parts, y = [], float(TOP)
    for group in groups(verdicts):
        middle = y + (len(group) * (BAR + GAP) - GAP) / 2 + 4
        label = group[0].title + (" (p99)" if group[0].measure == "p99_us" else "")
        parts.append(text(LEFT - 12, middle, label, text_anchor="end", fill=INK))
        for verdict in group:
            parts += bar(verdict, y, scale, most)
            y += BAR + GAP
        y += GROUP_GAP
    bottom = y - GROUP_GAP + 4
    head = [text(24, 28, "Corelane's CPU time per request, as a share of its peers'",
                 font_size="17", font_weight="600", fill=INK),
            text(WIDTH - 24, 28, subtitle, text_anchor="end", fill="#555555"),
            *legend([p for p in COLOURS if any(v.peer == p for v in verdicts)], names),
            *axis(scale, most, bottom)]
    height = bottom + 20
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" font-size="13">',
        rectangle(0, 0, WIDTH, height, "#ffffff"), *head, *parts, "</svg>", ""])
