"""Tables for a terminal, or as Markdown."""


def table(head, rows, markdown=False):
    """Lines of a table; the first column is left-aligned, all others right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells):
        padded = [cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(padded) + " |" if markdown else "  ".join(padded).rstrip()

    ruler = ["-" * width if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    under = "|" + "|".join(f" {cell} " for cell in ruler) + "|" if markdown else "  ".join("-" * width for width in widths)
    return "\n".join([line(head), under, *(line(row) for row in rows)])
