"""The output of a proof: figures in a table, and then PASS or FAIL."""

from tools import say


def table(*rows):
    """Prints rows in columns; the first row is the heading, and numbers are aligned to the right."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in texts if i < len(row)) for i in range(max(map(len, texts)))]
    for row, given in zip(texts, rows, strict=True):
        cells = (
            text.rjust(width) if isinstance(cell, (int, float)) else text.ljust(width)
            for text, width, cell in zip(row, widths, given, strict=False)
        )
        say("  " + "  ".join(cells).rstrip())


def mib(size):
    """Bytes as MiB."""
    return round(size / (1 << 20), 1)


class Verdict:
    """Collects the results of checks."""

    def __init__(self):
        self.rows = []

    def check(self, what, passed, seen):
        """Records one check: what must be true, whether it is, and the value that was seen."""
        self.rows.append((what, str(seen), "ok" if passed else "WRONG"))
        return passed

    def end(self):
        """Prints all checks, and returns the exit code."""
        say("")
        table(("check", "seen", ""), *self.rows)
        wrong = sum(row[2] != "ok" for row in self.rows)
        say(f"\n{'FAIL' if wrong or not self.rows else 'PASS'}: {len(self.rows) - wrong} of {len(self.rows)} checks passed")
        return 1 if wrong or not self.rows else 0
