"""Reason slugs as the code has them: what its expressions can give where a reason, an error or an outcome is asked for.

Read off the syntax trees, so that a slug written down in one place of the code alone is found too.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
SINKS = frozenset({"reason", "reasons", "error", "problem", "outcome"})
LEDGERS = frozenset({"dropped", "removed", "added"})  # mappings by reason

Scope = dict[str, list[ast.expr]]  # a name, and what it is bound to


class Slugs:
    """The strings that reach a sink in some modules; functions, classes and constants are looked up in all of them."""

    def __init__(self, *paths: str) -> None:
        places = [HOME / path for path in paths]
        files = [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
        self._trees = [_parsed(file) for file in files]
        self._parameters: dict[str, list[str]] = {}
        self._returns: dict[str, list[ast.expr]] = defaultdict(list)
        self._constants: Scope = defaultdict(list)
        for tree in self._trees:
            for node in ast.walk(tree):
                self._declare(node)
            for statement in tree.body:
                _bind(statement, self._constants)

    def found(self) -> set[str]:
        """Every slug."""
        return {slug for tree in self._trees for slug in self._within(tree, {})}

    def _declare(self, node: ast.AST) -> None:
        if isinstance(node, ast.ClassDef):
            fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
            self._parameters.setdefault(node.name, fields)
        for each in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
            if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                self._parameters[node.name] = _names(each)[1:]  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef):
            names = _names(node)
            self._parameters.setdefault(node.name, names[1:] if names[:1] == ["self"] else names)
            returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
            self._returns[node.name] += returned

    def _within(self, node: ast.AST, scope: Scope) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            scope = defaultdict(list, scope)
            for each in ast.walk(node):
                _bind(each, scope)
        yield from self._sunk(node, scope)
        for child in ast.iter_child_nodes(node):
            yield from self._within(child, scope)

    def _sunk(self, node: ast.AST, scope: Scope) -> Iterator[str]:
        """What a node itself gives to a sink."""
        if isinstance(node, ast.Call):
            names = self._parameters.get(_called(node), [])
            given: list[tuple[str | None, ast.expr]] = [*zip(names, node.args, strict=False)]
            for name, value in (*given, *((k.arg, k.value) for k in node.keywords)):
                if name in SINKS:
                    yield from self._strings(value, scope)
                elif name in LEDGERS and isinstance(value, ast.Dict):
                    yield from (slug for key in value.keys if key for slug in self._strings(key, scope))
        elif isinstance(node, ast.Dict):
            for of, value in zip(node.keys, node.values, strict=True):
                if isinstance(of, ast.Constant) and of.value in SINKS:
                    yield from self._strings(value, scope)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    if target.slice.value in SINKS:
                        yield from self._strings(node.value, scope)
                    if _called(target) in LEDGERS:
                        yield str(target.slice.value)
                for index, each in enumerate(target.elts if isinstance(target, ast.Tuple) else [target]):
                    if isinstance(each, ast.Name) and each.id in SINKS:
                        yield from self._strings(node.value, scope, index if isinstance(target, ast.Tuple) else None)

    def _strings(
        self, node: ast.expr, scope: Scope, index: int | None = None, seen: frozenset[str] = frozenset()
    ) -> Iterator[str]:
        """The strings that an expression, or its `index`-th part, can be; those of calls by what is returned."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from self._strings(node.body, scope, index, seen)
            yield from self._strings(node.orelse, scope, index, seen)
        elif isinstance(node, ast.Tuple | ast.List):
            for each in node.elts if index is None else node.elts[index : index + 1]:
                yield from self._strings(each, scope, None, seen)
        elif isinstance(node, ast.BinOp):  # ["a"] * n
            yield from self._strings(node.left, scope, index, seen)
        elif isinstance(node, ast.Name) and node.id not in seen:
            for bound in scope.get(node.id) or self._constants.get(node.id, []):
                yield from self._strings(bound, scope, index, seen | {node.id})
        elif isinstance(node, ast.Call):
            name = _called(node)
            if name == "array":
                yield from self._strings(node.args[0], scope, None, seen)
            elif name in self._returns and name not in seen:
                for returned in self._returns[name]:
                    yield from self._strings(returned, {}, index, seen | {name})


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _names(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def _called(node: ast.Call | ast.Subscript) -> str:
    """The last name of what is called or indexed."""
    of = node.func if isinstance(node, ast.Call) else node.value
    return of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""


def _bind(node: ast.AST, scope: Scope) -> None:
    """Names that an assignment binds, and those of a loop over a tuple that is written out."""
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
        pairs = [(node.target, each) for each in node.iter.elts]
    else:
        return
    for target, value in pairs:
        if isinstance(target, ast.Name):
            scope[target.id].append(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for name, part in zip(target.elts, value.elts, strict=True):
                if isinstance(name, ast.Name):
                    scope[name.id].append(part)
