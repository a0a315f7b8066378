"""Tables of text as Markdown."""

from collections.abc import Sequence

from .text_table import TextTable


def markdown_table(table: TextTable) -> str:
    """Return the table with one line a row; a column's group stands before its label."""
    titles = [f"{column.group} {column.label}".strip() for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    return "".join(_line(cells) for cells in (titles, rules, *table.rows))


def _line(cells: Sequence[str]) -> str:
    # What is no part of a word could end the cell, or begin a tag.
    safe = (
        cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
        for cell in cells
    )
    return "| " + " | ".join(safe) + " |\n"
