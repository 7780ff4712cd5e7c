"""Bars of ratios as SVG, one file a metric: ours over theirs with the quartiles, and the bar that must not be passed."""

ROW, LEFT, WIDTH, TOP = 22, 230, 620, 46
MET, MISSED, FREE = "#3a7d5c", "#b3402f", "#5b7a99"


def _text(x, y, text, size=12, anchor="start"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-family="sans-serif">{text}</text>')


def _row(y, label, row, bar, scale):
    low, mid, high = (LEFT + min(row[k], scale) / scale * WIDTH for k in ("p25", "ratio", "p75"))
    color = FREE if bar is None else MISSED if row["p25"] > bar else MET
    parts = [_text(LEFT - 8, y + 15, label, anchor="end"),
             f'<rect x="{LEFT}" y="{y + 4}" width="{max(mid - LEFT, 1):.1f}" height="14" fill="{color}"/>',
             f'<path d="M{low:.1f} {y + 11}H{high:.1f}" stroke="black"/>',
             _text(LEFT + WIDTH + 8, y + 15, f"{row['ratio']:.2f}")]
    if bar is not None:
        at = LEFT + bar / scale * WIDTH
        parts.append(f'<path d="M{at:.1f} {y + 1}V{y + 21}" stroke="black" stroke-width="2"/>')
    return parts


def draw(title, rows, bars):
    """rows as in results.json, all of one metric."""
    scale = 1.2 * max([1.0] + [min(r["p75"], 2.0) for r in rows] +
                      [bars[k] for k in ((r["case"], r["peer"], r["metric"]) for r in rows) if k in bars])
    one = LEFT + WIDTH / scale
    height = TOP + ROW * len(rows) + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}">',
             '<rect width="100%" height="100%" fill="white"/>', _text(12, 22, title, 15),
             _text(one, 40, "as much as theirs", 11, "middle"),
             f'<path d="M{one:.1f} {TOP}V{height - 8}" stroke="#999" stroke-dasharray="4 3"/>']
    for i, r in enumerate(rows):
        parts += _row(TOP + i * ROW, f"{r['case']} / {r['peer']}", r,
                      bars.get((r["case"], r["peer"], r["metric"])), scale)
    return "\n".join(parts + ["</svg>", ""])


def write(folder, rows, bars, titles):
    """One SVG for each metric that was measured; answers the paths."""
    paths = []
    for metric, title in titles.items():
        chosen = [r for r in rows if r["metric"] == metric and r["ratio"] is not None]
        if chosen:
            path = folder / f"{metric}.svg"
            path.write_text(draw(f"{title}: mesh over its peers", chosen, bars))
            paths.append(path)
    return paths
