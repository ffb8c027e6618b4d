"""LaTeX sources to readable LaTeX: one file, the paper's own macros expanded, comments and bibliography out."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_COMMENT_BLOCK = re.compile(r"\\begin\{comment\}.*?\\end\{comment\}", re.DOTALL)
_INPUT = re.compile(r"\\(?:input|include|subfile)\s*(?:\{([^{}\n]{1,200})\}|([\w./-]{1,200}))")
_DEPTH = 8  # of files within files
_MAIN = re.compile(r"\\document(?:class|style)\b")
_DOCUMENT = re.compile(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|\Z)", re.DOTALL)
_BIBLIOGRAPHY = re.compile(
    r"\\begin\s*\{thebibliography\}.*?(?:\\end\s*\{thebibliography\}|\Z)"
    r"|\\(?:bibliography|bibliographystyle|addbibresource|nobibliography)\*?\s*\{[^{}]*\}|\\printbibliography(?:\[[^\]]*\])?",
    re.DOTALL,
)
_DEFINITION = re.compile(
    r"\\(?:(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?\s*\{?\s*\\([A-Za-z]+)\s*\}?\s*"
    r"(?:\[(\d)\])?\s*(?:\[([^\[\]]*)\])?\s*(?=\{)"
    r"|\\g?def\s*\\([A-Za-z]+)\s*((?:#\d)*)\s*(?=\{)"
    r"|\\DeclareMathOperator(\*?)\s*\{?\s*\\([A-Za-z]+)\s*\}?\s*(?=\{)"
)
_CALL = re.compile(r"\\([A-Za-z]+)")
_GROWTH = 4  # times a paper's size that its expansion may take
_PASSES = 8  # macros within macros
_TITLE = re.compile(r"\\title\s*(?:\[[^\]]*\])?\s*(?=\{)")
_EMPTY_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


class GrowthError(ValueError):
    """Macros that make far more text than there is."""


@dataclass(frozen=True, slots=True)
class _Macro:
    arguments: int
    default: str | None
    body: str


def paper(files: Mapping[str, str]) -> tuple[str | None, str]:
    """Title and text of a paper's .tex files; no text where none of them is LaTeX. Raises GrowthError."""
    clean = {name: _COMMENT.sub(r"\1", _COMMENT_BLOCK.sub("", text)) for name, text in files.items()}
    mains = [name for name, text in clean.items() if _MAIN.search(text)]
    if not mains:
        return None, ""
    whole = _joined(
        max(mains, key=lambda name: (len(clean[name]), name)), clean, frozenset(), 50 * sum(map(len, clean.values()))
    )
    macros, rest = _defined(whole)
    found = _DOCUMENT.search(rest)
    title = _TITLE.search(rest)
    body = _expanded(_BIBLIOGRAPHY.sub("", found[1] if found else rest), macros)
    name = _expanded(_group(rest, title.end())[0], macros) if title else ""
    return " ".join(name.split()) or None, _EMPTY_LINES.sub("\n\n", body).strip()


def _joined(name: str, files: Mapping[str, str], above: frozenset[str], most: int) -> str:
    """A file with those it names in their places, where they are there and do not name it."""

    def content(match: re.Match[str]) -> str:
        wanted = posixpath.normpath((match[1] or match[2]).strip())
        for each in (wanted, f"{wanted}.tex"):
            if each in files and each not in above and len(above) < _DEPTH:
                return _joined(each, files, above | {name}, most)
        return ""

    text = _INPUT.sub(content, files[name])
    if len(text) > most:
        raise GrowthError("files that name each other over and over")
    return text


def _group(text: str, at: int) -> tuple[str, int]:
    """What stands in the braces at an offset, and the offset behind them; up to the end where they are left open."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return text[at + 1 : match.start()], match.end()
    return text[at + 1 :], len(text)


def _defined(text: str) -> tuple[dict[str, _Macro], str]:
    """The macros that a text defines, and the text without the definitions."""
    macros: dict[str, _Macro] = {}
    out, at = [], 0
    while match := _DEFINITION.search(text, at):
        body, end = _group(text, match.end())
        out.append(text[at : match.start()])
        at = end
        name, count, default, defined, parameters, star, operator = match.groups()
        if operator:
            macros[operator] = _Macro(0, None, f"\\operatorname{star}{{{body}}}")
        elif defined:
            macros[defined] = _Macro((parameters or "").count("#"), None, body)
        else:
            macros[name] = _Macro(int(count or 0), default, body)
    return macros, "".join([*out, text[at:]])


def _expanded(text: str, macros: Mapping[str, _Macro]) -> str:
    """The text with macros replaced by what they stand for; those that name themselves stay. Raises GrowthError."""
    usable = {name: macro for name, macro in macros.items() if f"\\{name}" not in macro.body}
    most = _GROWTH * len(text) + 10_000
    for _ in range(_PASSES):
        out, at, changed, size = [], 0, False, 0
        for match in _CALL.finditer(text):
            macro = usable.get(match[1])
            if macro is None or match.start() < at:
                continue
            filled, end = _filled(macro, text, match.end())
            out += [text[at : match.start()], filled]
            size += len(out[-2]) + len(filled)
            at, changed = end, True
            if size > most:
                raise GrowthError(f"macros make over {most} characters of {len(text)}")
        if not changed:
            break
        text = "".join([*out, text[at:]])
    return text


def _filled(macro: _Macro, text: str, at: int) -> tuple[str, int]:
    """A macro's body with the arguments behind an offset, and the offset behind those."""
    arguments = []
    for number in range(macro.arguments):
        while at < len(text) and text[at] in " \t\n":
            at += 1
        if number == 0 and macro.default is not None:
            close = text.find("]", at) if text.startswith("[", at) else -1
            arguments.append(text[at + 1 : close] if close >= 0 else macro.default)
            at = close + 1 if close >= 0 else at
        elif text.startswith("{", at):
            argument, at = _group(text, at)
            arguments.append(argument)
        else:
            arguments.append(text[at : at + 1])
            at += 1
    body = re.sub(r"#(\d)", lambda m: arguments[int(m[1]) - 1] if 0 < int(m[1]) <= len(arguments) else "", macro.body)
    return body, at
