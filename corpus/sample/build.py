"""Build site.tar.xz from LibreOffice's help pages: `python -m corpus.sample.build SOURCE [site.tar.xz]`.

SOURCE holds `libreoffice-zh-CN/text` and `libreoffice-en-US/text`, as Debian's libreoffice-help-zh-cn and
-en-us install them. Pages are copied byte for byte; only the index pages and robots.txt are written here.
"""

import io
import lzma
import sys
import tarfile
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

LANGUAGES = ("zh-CN", "en-US")
MODULES = ("sbasic", "shared", "swriter")  # 1,668 pages a language, about a fifth of the Chinese ones untranslated
ROBOTS = """User-agent: *
Disallow: /*/text/shared/menu/
Disallow: /private/

User-agent: GreedyBot
Crawl-delay: 10
Disallow: /
"""
_TITLES = {"zh-CN": "帮助目录", "en-US": "Help Contents"}


def index_page(language: str, title: str, links: Iterable[tuple[str, str]]) -> bytes:
    """A page that is navigation and nothing else."""
    rows = "\n".join(f'<li><a href="{escape(href)}">{escape(name)}</a></li>' for href, name in links)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><nav><h1>{title}</h1>\n<ul>\n{rows}\n</ul></nav></body>\n</html>\n"
    ).encode()


def pages_of(source: Path) -> dict[str, bytes]:
    """Site path -> page, for the page pairs that both trees hold."""
    texts = {language: source / f"libreoffice-{language}" / "text" for language in LANGUAGES}
    for text in texts.values():
        if not text.is_dir():
            raise SystemExit(f"{text} is no folder: give the folder that holds libreoffice-zh-CN and libreoffice-en-US")
    names = {
        language: {path.relative_to(text).as_posix() for module in MODULES for path in (text / module).rglob("*.html")}
        for language, text in texts.items()
    }
    pairs = sorted(set.intersection(*names.values()))
    return {
        f"{language}/text/{name}": (texts[language] / name).read_bytes() for name in pairs for language in LANGUAGES
    }


def with_indexes(pages: Mapping[str, bytes]) -> dict[str, bytes]:
    """The site: pages, an index a module and language, an index a language, the root, and robots.txt."""
    site = {"robots.txt": ROBOTS.encode()}
    site["index.html"] = index_page(
        "en", "LibreOffice", [*((f"/{lang}/index.html", lang) for lang in LANGUAGES), ("/faults.html", "faults")]
    )
    for language in LANGUAGES:
        own = [path for path in pages if path.startswith(f"{language}/text/")]
        modules = sorted({path.split("/")[2] for path in own})
        links = [(f"/{language}/{module}.html", module) for module in modules]
        site[f"{language}/index.html"] = index_page(language, _TITLES[language], links)
        for module in modules:
            inside = sorted(path for path in own if path.split("/")[2] == module)
            links = [(f"/{path}", path.partition("/text/")[2]) for path in inside]
            site[f"{language}/{module}.html"] = index_page(language, f"{_TITLES[language]}: {module}", links)
    return {**site, **pages}


def write_archive(site: Mapping[str, bytes], target: Path) -> None:
    """A tar.xz whose bytes depend on the pages alone: no times, no owners, one order."""
    # Translations beside each other share their markup.
    order = sorted(site, key=lambda path: (path.partition("/text/")[2], path))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 32 << 20}]
    with lzma.open(target, "wb", filters=filters) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in order:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(site[path]), 0o644
            tar.addfile(info, io.BytesIO(site[path]))


def main(arguments: list[str]) -> None:
    """Entry point."""
    if len(arguments) not in (1, 2):
        raise SystemExit(__doc__)
    target = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).with_name("site.tar.xz")
    site = with_indexes(pages_of(Path(arguments[0])))
    write_archive(site, target)
    sys.stdout.write(f"{target}: {len(site)} files, {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
