"""Books and papers: Project Gutenberg, EPUB, arXiv."""

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.configuration import FileRef
from corpus.sources.arxiv import ArxivSource
from corpus.sources.epub import EpubSource
from corpus.sources.gutenberg import GutenbergSource
from corpus.sources.latex import GrowthError, paper
from tests.corpus.sources.test_formats import PACK, all_of

FRAME = """\ufeffThe Project Gutenberg eBook of {title}

This ebook is for the use of anyone anywhere in the United States.

Title: {title}

Author: {author}

Language: {language}

*** START OF THE PROJECT GUTENBERG EBOOK {title} ***

{body}

*** END OF THE PROJECT GUTENBERG EBOOK {title} ***

Updated editions will replace the previous one. START: FULL LICENSE
"""
NOVEL = "CHAPTER I\n\nIt is a truth universally acknowledged.\n\nCHAPTER II\n\nMr. Bennet was among the earliest."
CLASSIC = "第一回\n\n話說天下大勢，分久必合，合久必分。\n\n第二回\n\n却说董卓字仲颖。"


@pytest.mark.parametrize("end", PACK)
def test_gutenberg_texts_lose_their_licence(tmp_path, end):
    english = FRAME.format(title="Pride", author="Austen", language="English", body=NOVEL)
    chinese = FRAME.format(title="三國演義", author="羅貫中", language="Chinese", body=CLASSIC)
    front = "Small print\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"
    old = f"{front}\n\n{NOVEL}\n\nEnd of Project Gutenberg's Pride\n"
    for name, text in {"1.txt": english, "2.txt": chinese.replace("\n", "\r\n"), "3.txt": old, "4.txt": NOVEL}.items():
        (tmp_path / f"{name}{end}").write_bytes(PACK[end](text.encode()))
    first, second, third, fourth = all_of(GutenbergSource(path=FileRef(tmp_path)))
    assert (first.text, first.title, first.author, first.declared_language) == (NOVEL, "Pride", "Austen", "en")
    assert (second.text, second.title, second.author) == (CLASSIC, "三國演義", "羅貫中")
    assert second.declared_language == "zh"
    assert third.text == NOVEL and (fourth.error, fourth.text) == ("unframed", None)
    assert len(all_of(GutenbergSource(path=FileRef(tmp_path), max_bytes=10))) == 4


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>书名</dc:title><dc:creator>李明</dc:creator><dc:date>2020-05-01T00:00:00Z</dc:date><dc:language>zh-Hans</dc:language></metadata><manifest>
<item id="c2" href="Text/two.xhtml" media-type="application/xhtml+xml"/>
<item id="c1" href="Text/%E4%B8%80.xhtml" media-type="application/xhtml+xml"/>
<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="note" href="note.xhtml" media-type="application/xhtml+xml"/><item id="i" href="i.png" media-type="image/png"/>
</manifest><spine><itemref idref="nav"/><itemref idref="c1"/>
<itemref idref="c2"/><itemref idref="note" linear="no"/></spine>
</package>"""
CHAPTERS = {
    "OEBPS/Text/一.xhtml": "<html><body><h1>第一章</h1><p>从前有一座山。</p></body></html>",
    "OEBPS/Text/two.xhtml": "<html><body><h1>Two</h1><p>There was a <i>mountain</i>.</p></body></html>",
    "OEBPS/nav.xhtml": "<html><body><nav>contents</nav></body></html>",
    "OEBPS/note.xhtml": "<html><body>aside</body></html>",
}


def epub(path, **parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        for name, data in {
            "META-INF/container.xml": CONTAINER,
            "OEBPS/content.opf": PACKAGE,
            **CHAPTERS,
            **parts,
        }.items():
            if data is not None:
                book.writestr(name, data)
    return path


def test_epub_chapters_in_reading_order(tmp_path):
    epub(tmp_path / "书.epub")
    (found,) = all_of(EpubSource(path=FileRef(tmp_path)))
    assert (found.record, found.title, found.declared_language) == ("书.epub", "书名", "zh-Hans")
    assert (found.author, found.published) == ("李明", "2020-05-01")
    assert found.text == "第一章\n\n从前有一座山。\n\nTwo\n\nThere was a mountain."


def test_epubs_that_are_broken_locked_or_bombs(tmp_path):
    locked = '<e xmlns:enc="x"><enc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'
    fonts = locked.replace("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "http://www.idpf.org/2008/embedding")
    epub(tmp_path / "a.epub", **{"META-INF/encryption.xml": locked})
    epub(tmp_path / "b.epub", **{"META-INF/encryption.xml": fonts})
    epub(tmp_path / "c.epub", **{"OEBPS/Text/two.xhtml": "x" * 3_000_000})
    epub(tmp_path / "d.epub", **{"META-INF/container.xml": None})
    epub(tmp_path / "e.epub", **{"OEBPS/content.opf": "<package"})
    (tmp_path / "f.epub").write_bytes((tmp_path / "b.epub").read_bytes()[:-50])
    (tmp_path / "g.epub").write_bytes(gzip.compress(b"x"))
    (tmp_path / "h.mobi").write_bytes(b"x")
    found = {c.record: c.error for c in all_of(EpubSource(path=FileRef(tmp_path), max_bytes=1 << 20))}
    assert found == {
        "a.epub": "encrypted",
        "b.epub": None,
        "c.epub": "too_large",
        "d.epub": "corrupt_record",
        "e.epub": "corrupt_record",
        "f.epub": "corrupt_record",
        "g.epub": "wrong_type",
        "h.mobi": "unknown_file",
    }


MAIN = r"""\documentclass{article} % a comment \secret
\title{On $\R$ and \emph{bridges}}
\newcommand{\R}{\mathbb{R}}
\newcommand{\pair}[2]{\langle #1, #2 \rangle}
\newcommand{\opt}[2][a]{#1/#2}
\def\half#1{\frac{#1}{2}}
\DeclareMathOperator{\tr}{tr}
\begin{document}\maketitle
We take $\pair{x}{\half{y}} \in \R$ at 50\% and $\tr(A)$, $\opt{b}$, $\opt[c]{d}$. % hidden
\input{parts/two}
\begin{thebibliography}{9}\bibitem{a} Someone.\end{thebibliography}
\bibliography{refs}
\end{document} trailing"""
TWO = "第二节在 \\R 上。\n%\\input{parts/two}\n\\input{missing}"
TEXT = r"We take $\langle x, \frac{y}{2} \rangle \in \mathbb{R}$ at 50\% and $\operatorname{tr}(A)$, $a/b$, $c/d$."


def tar(files, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_papers_of_a_bulk_tar(tmp_path):
    source = {"paper.tex": MAIN.encode(), "parts/two.tex": TWO.encode(), "fig.pdf": b"%PDF-", "refs.bib": b"@a{}"}
    bulk = {
        "2001/2001.00001.gz": tar(source, "w:gz"),
        "2001/2001.00002.gz": gzip.compress(MAIN.encode()),
        "2001/2001.00003.pdf": b"%PDF-1.5",
        "2001/2001.00004.gz": gzip.compress(b"\\section{no class}"),
        "2001/2001.00005.gz": gzip.compress(MAIN.encode())[:-20],
        "2001/2001.00006.gz": gzip.compress(b"x" * 2_000_000),
        "2001/hep-th9901001.gz": gzip.compress(MAIN.replace("documentclass", "documentstyle").encode("latin-1")),
    }
    (tmp_path / "arXiv_src_2001_001.tar").write_bytes(tar(bulk))
    found = all_of(ArxivSource(path=FileRef(tmp_path), max_bytes=1 << 20))
    errors = [None, None, "no_latex", "no_latex", "corrupt_record", "too_large", None]
    assert [c.error for c in found] == errors
    assert found[0].url == "https://arxiv.org/abs/2001.00001"
    assert found[0].title == r"On $\mathbb{R}$ and \emph{bridges}"
    assert found[0].text.splitlines() == ["\\maketitle", TEXT + " ", "第二节在 \\mathbb{R} 上。"]
    assert found[6].record == "arXiv_src_2001_001.tar/2001/hep-th9901001.gz"
    (tmp_path / "arXiv_src_2001_001.tar").write_bytes(tar(bulk)[:700])
    assert [c.error for c in all_of(ArxivSource(path=FileRef(tmp_path)))][-1] == "corrupt_record"


def test_macros_that_grow_or_circle(tmp_path):
    lines = "".join(
        f"\\newcommand{{\\{a}}}{{\\{b}\\{b}\\{b}\\{b}\\{b}\\{b}\\{b}\\{b}}}"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    bomb = f"\\documentclass{{a}}{lines}\\newcommand{{\\i}}{{{'x' * 50}}}\\begin{{document}}\\a\\end{{document}}"
    with pytest.raises(GrowthError):
        paper({"m.tex": bomb})
    (tmp_path / "2001.00001.tex").write_text(bomb)
    assert [c.error for c in all_of(ArxivSource(path=FileRef(tmp_path)))] == ["macro_growth"]
    circle = {"a.tex": "\\documentclass{a}\\input{b} A", "b.tex": "\\input{a} B \\newcommand{\\x}{\\x y}\\x"}
    assert paper(circle)[1].split() == ["\\documentclass{a}", "B", "\\x", "A"]


PIECES = st.sampled_from(
    [
        "\\newcommand{\\a}",
        "{",
        "}",
        "\\def\\b#1",
        "\\a",
        "\\b",
        "[",
        "]",
        "\\input{m}",
        "%",
        "\\begin{document}",
        "$",
        "\\title",
        "字",
    ]
)


@given(st.lists(PIECES, max_size=40))
@settings(deadline=None, max_examples=150)
def test_any_latex_ends(parts):
    try:
        assert isinstance(paper({"m.tex": "\\documentclass{a}" + "".join(parts)})[1], str)
    except GrowthError as error:
        assert str(error)
