"""What a proof prints: figures in a table, then PASS or FAIL."""

from tools import say


def table(*rows):
    """Prints rows in columns; the first row is the heading, and numbers stand to the right."""
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
    """Collects what has to hold."""

    def __init__(self):
        self.rows = []

    def check(self, what, holds, seen):
        """Notes one thing that has to hold, and what was seen."""
        self.rows.append((what, str(seen), "ok" if holds else "WRONG"))
        return holds

    def end(self):
        """Prints it all, and hands over the exit code."""
        say("")
        table(("what has to hold", "seen", ""), *self.rows)
        wrong = sum(row[2] != "ok" for row in self.rows)
        say(f"\n{'FAIL' if wrong or not self.rows else 'PASS'}: {len(self.rows) - wrong} of {len(self.rows)} hold")
        return 1 if wrong or not self.rows else 0
