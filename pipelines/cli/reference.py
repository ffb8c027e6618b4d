"""The configuration reference: `python -m pipelines.cli.reference docs/configuration.md` writes it from the schema."""

import sys
from collections.abc import Iterator
from pathlib import Path

from conf.schema import WHAT, WHERE, Config
from pipelines.cli.settings import Key, alternatives, default_of, doc_of, fields_of, members, type_name

HEAD = """# Configuration reference

Made from the schema by `python -m pipelines.cli.reference docs/configuration.md`; `siku config` tells the same of your
own configuration, with values and who set them. Keys are dotted paths, `<name>` stands for a name of your choosing.
WHAT keys are hashed into results; WHERE keys say where and how far a run goes, and change no result.
"""


def reference() -> str:
    """The page, in Markdown."""
    lines = [HEAD]
    for word, names in (("WHAT", WHAT), ("WHERE", WHERE)):
        for name, field in fields_of(Config).items():
            if name in names:
                lines += [f"## `{name}` ({word})", "", f"{doc_of(field)}.".capitalize(), "", *_section(name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(name: str) -> Iterator[str]:
    """Tables of a top-level key: its own fields, then those of each member of each union below it."""
    field = fields_of(Config)[name]
    groups: dict[tuple[str, str], list[Key]] = {}
    kinds = members(field.annotation)
    if len(kinds) == 1 and isinstance(kinds[0], type):
        for key in _fields(kinds[0], f"{name}."):
            groups.setdefault(("", ""), []).append(key)
    for key in alternatives(Config):
        if key.path.startswith(f"{name}."):
            group = groups.setdefault((key.path.rpartition(".")[0], key.when), [])
            if key not in group:  # stages of several kinds have rules
                group.append(key)
    for (path, when), keys in groups.items():
        if path:
            yield f"### `{path}`" + (f" with `{when}`" if when else "")
            yield ""
        yield "| key | type | default | |"
        yield "|---|---|---|---|"
        for key in keys:
            shown = f"`{key.path.removeprefix(f'{path}.') if path else key.path}`"
            cells = (shown, _code(key.type), "required" if key.default == "required" else f"`{key.default}`", key.doc)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""


def _code(text: str) -> str:
    return text.replace('"', "`") if '"' in text else text


def _fields(kind: type, prefix: str) -> Iterator[Key]:
    for name, field in fields_of(kind).items():
        inner = members(field.annotation)
        if len(inner) == 1 and type_name(field.annotation) == inner[0].__name__:
            yield from _fields(inner[0], f"{prefix}{name}.")
        else:
            yield Key(f"{prefix}{name}", type_name(field.annotation), default_of(field), "", (), doc_of(field))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
