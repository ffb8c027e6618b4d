"""Text of strangers in messages: nothing that a terminal obeys, nothing without end."""


def escaped(text: str, most: int = 300) -> str:
    r"""The text on one line, at most `most` characters of it read; control, format and unassigned ones as `\x1b`."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:most])
    return shown + ("…" if len(text) > most else "")
