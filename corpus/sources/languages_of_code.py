"""What a source file is: its programming language by name and content, its licence, and whether people wrote it."""

import re
from pathlib import PurePosixPath

_NAMES = {
    "Ada": "adb ads", "Assembly": "asm s", "Batchfile": "bat cmd", "C": "c", "C#": "cs", "C++": "cc cpp cxx hh hpp hxx",
    "CMake": "cmake cmakelists.txt", "CSS": "css scss less", "Clojure": "clj cljs", "Cuda": "cu cuh", "Dart": "dart",
    "Dockerfile": "dockerfile", "Elixir": "ex exs", "Erlang": "erl hrl", "F#": "fs fsx", "Fortran": "f f90 f95 for",
    "Go": "go", "Groovy": "groovy gradle", "HTML": "html htm", "Haskell": "hs", "Java": "java",
    "JavaScript": "js jsx mjs cjs",
    "Julia": "jl", "Kotlin": "kt kts", "Lua": "lua", "Makefile": "makefile mk", "Markdown": "md", "Nim": "nim",
    "OCaml": "ml mli", "PHP": "php", "Pascal": "pas", "Perl": "pl pm", "PowerShell": "ps1", "Python": "py pyi",
    "R": "r",
    "Ruby": "rb", "Rust": "rs", "SQL": "sql", "Scala": "scala sc", "Scheme": "scm", "Shell": "sh bash zsh",
    "Solidity": "sol",
    "Swift": "swift", "TeX": "tex sty", "TypeScript": "ts tsx", "VHDL": "vhd vhdl", "Verilog": "v sv", "Vue": "vue",
    "Zig": "zig", "reStructuredText": "rst", "Objective-C": "mm", "": "h m",
}  # fmt: skip
_BARE = frozenset(("dockerfile", "makefile", "cmakelists.txt"))  # whole names
LANGUAGES = {ending: language for language, endings in _NAMES.items() for ending in endings.split()}
SUFFIXES = tuple(ending if ending in _BARE else f".{ending}" for ending in LANGUAGES)
_CPP = re.compile(
    r"^\s*(?:class\s+\w+|namespace\s+\w|template\s*<|using\s+namespace|public:|private:|#include\s*<\w+>)", re.M
)
_OBJECTIVE_C = re.compile(r"^\s*(?:@interface|@implementation|@property|@end|@protocol|#import)\b", re.MULTILINE)
# Linguist's lists (github-linguist, vendor.yml and generated.rb), the part of them that people meet.
_VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|vendor|vendors|third[-_]?party|external|extern|dist|deps|Pods|Carthage"
    r"|site-packages|\w+\.egg-info|gradle/wrapper|jquery[^/]*\.js|bootstrap[^/]*\.(?:js|css))(?:/|$)",
    re.IGNORECASE,
)
_GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.g\.dart|\.designer\.cs|_generated\.\w+|\.generated\.\w+)$",
    re.IGNORECASE,
)
_GENERATED = re.compile(
    r"@generated\b|\bdo not (?:edit|modify)\b.{0,80}\bgenerat"
    r"|\b(?:auto[- ]?generated|generated)\b.{0,40}\b(?:by|from|file|code)\b"
    r"|\bgenerated\b.{0,80}\bdo not (?:edit|modify)\b|(?:自动生成|自動生成).{0,20}(?:请勿|請勿|不要)",
    re.IGNORECASE | re.DOTALL,
)
_HEAD = 2000  # characters of a file that say whether it was generated
_LONG_LINES = 110  # characters of the mean line of JavaScript or CSS that is minified (Linguist)
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*\(?([A-Za-z0-9.+-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+-]+)*)")
_LICENCES = (
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("MPL-2.0", r"Mozilla Public License,?\s+(?:Version|v\.) 2\.0"),
    ("BSL-1.0", r"Boost Software License - Version 1\.0"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
    ("CC0-1.0", r"CC0 1\.0 Universal"),
    ("MulanPSL-2.0", r"木兰宽松许可证"),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("ISC", r"Permission to use, copy, modify, and(?:/or)? distribute this software for any\s+purpose"),
    ("BSD-3-Clause", r"Redistribution and use in source and binary forms[\s\S]{0,1500}endorse or promote"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
)
_LICENCE_TEXTS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _LICENCES)
LICENCE_FILES = ("LICENSE", "LICENCE", "COPYING", "UNLICENSE")


def language_of(path: str, text: str) -> str:
    """The programming language of a file whose name ends as SUFFIXES say; content decides between several."""
    name = PurePosixPath(path).name.lower()
    ending = name if name in _BARE else name.rpartition(".")[2]
    if ending in ("h", "m") and _OBJECTIVE_C.search(text):
        return "Objective-C"
    if ending == "h":
        return "C++" if _CPP.search(text) else "C"
    if ending == "m":
        return "MATLAB"
    if ending == "ts" and text.lstrip().startswith(("<?xml", "<!DOCTYPE TS")):
        return "XML"  # Qt's translations
    return LANGUAGES[ending]


def machine_made(path: str, text: str, language: str) -> str | None:
    """Why nobody wrote the file here: `vendored`, `generated` or `minified`; None if somebody did."""
    if _VENDORED.search(path):
        return "vendored"
    if _GENERATED_NAME.search(path) or _GENERATED.search(text[:_HEAD]):
        return "generated"
    lines = text.count("\n") + 1
    if language in ("JavaScript", "CSS", "TypeScript") and (".min." in path or len(text) / lines > _LONG_LINES):
        return "minified"
    return None


def licence_in(text: str) -> str:
    """SPDX identifier of the licence that a licence file is, or that a file's head names; empty if none is known."""
    if found := _SPDX.search(text[:_HEAD]):
        return found[1]
    return next((name for name, pattern in _LICENCE_TEXTS if pattern.search(text)), "")
