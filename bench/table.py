"""The table of figures: its rows, how they are judged, and how it is printed."""
import os
import sys

HEAD = ("what", "asterias", "peer", "ratio", "figure", "")


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), "?")
    load = os.getloadavg()[0]
    return "%d x %s, load %.1f before the start" % (os.cpu_count(), model, load)


def print_table(rows, head=HEAD):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]

    def line(cells):
        return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths)) + " |"

    print(line(head))
    print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    for r in rows:
        print(line(r))


class Table:
    """Rows of cells, in the order of HEAD; each is also told when it is there."""

    def __init__(self):
        self.rows = []

    def cells(self, *cells):
        self.rows.append(list(cells))
        print("  ".join(cells), flush=True)

    def row(self, what, ours, peer, ratio, figure, good, unit="{:.0f}"):
        show = lambda v: "-" if v is None else unit.format(v)  # noqa: E731
        verdict = "-" if good is None else "ok" if good else "MISSED"
        share = "-" if ratio is None else "%.2f" % ratio
        self.cells(what, show(ours), show(peer), share, figure, verdict)

    def missing(self, what, figure, why):
        """A row without its figure; the reason goes to stderr."""
        self.cells(what, "not measured", "-", "-", figure, "-")
        print("note: %s: %s" % (what.strip(), why), file=sys.stderr)

    def compare(self, what, ours, peer, key, least=None, most=None, unit="{:.0f}"):
        """Judged by the ratio to the peer's figure; without bounds it is only told."""
        a, b = ours and ours.get(key), peer and peer.get(key)
        ratio = a / b if a is not None and b else None
        figure, good = "-", None
        if least is not None:
            figure, good = ">= %gx" % least, ratio is not None and ratio >= least
        elif most is not None:
            figure, good = "<= %gx" % most, ratio is not None and ratio <= most
        self.row(what, a, b, ratio, figure, None if ratio is None else good, unit)

    def absolute(self, what, ours, peer, figure, least=None, most=None, unit="{:.0f}"):
        """Judged by itself; the ratio is that to the bound."""
        good = None if ours is None else ours >= least if least is not None else ours <= most
        ratio = ours / (least if least is not None else most) if ours is not None else None
        self.row(what, ours, peer, ratio, figure, good, unit)
