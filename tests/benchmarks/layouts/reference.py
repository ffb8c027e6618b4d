"""Encyclopedias, documentation and code: long texts with lists, tables and listings that must stay."""

from tests.benchmarks.layouts.news import byline
from tests.benchmarks.layouts.text import Text, code, comment_text, copyright_line, head, links


def mediawiki(t: Text) -> str:
    """Section links, footnotes, a contents box, a table of data, boxes of navigation and categories."""
    title, cite = t.title(), '<sup id="cite_ref-1" class="reference"><a href="#cite_note-1">[1]</a></sup>'
    section = lambda n: (
        f'<div class="mw-heading"><h2 id="s{n}">{t.keep(t.title())}</h2><span class="mw-editsection">[<a href="/e">{t.say("edit", "编辑")}</a>]</span></div>'
        + "".join(t.paragraphs("<p>{}" + cite + "</p>", 2, 4))
    )
    cells = lambda tag: f"<tr>{''.join(f'<{tag}>{t.keep(t.title())}</{tag}>' for _ in range(3))}</tr>"
    return (
        head(t, title, 20)
        + f'<body class="skin-vector mw-body-content"><div class="vector-header-container"><header class="mw-header">{links(t, 4, 6)}</header></div><div class="mw-page-container"><nav id="mw-panel-toc" class="vector-toc">{links(t, 5, 9)}</nav><main id="content" class="mw-body"><header><h1 id="firstHeading">{t.keep(title)}</h1></header><div id="bodyContent"><div id="siteSub" class="noprint">{t.say("From Wikipedia, the free encyclopedia", "维基百科，自由的百科全书")}</div><div id="mw-content-text"><div class="mw-parser-output"><div role="note" class="hatnote navigation-not-searchable">{t.say("For other uses, see", "关于其他用法，请见")} <a href="/d">{t.title()}</a></div>'
        f'{"".join(t.paragraphs("<p>{}" + cite + "</p>", 2, 3))}<div id="toc" class="toc"><div class="toctitle"><h2>{t.say("Contents", "目录")}</h2></div>{links(t, 4, 6)}</div>{section(1)}<ul>{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(4))}</ul>{section(2)}<table class="wikitable"><tbody>{cells("th")}{cells("td")}{cells("td")}{cells("td")}</tbody></table>{section(3)}'
        f'<div class="navbox">{links(t, 20, 40)}</div></div><div class="printfooter">{t.say("Retrieved from", "取自")} "https://x"</div></div><div id="catlinks" class="catlinks">{links(t, 3, 6)}</div></div></main></div><footer id="footer" class="mw-footer"><ul><li>{t.say("This page was last edited on 3 March 2026, at 08:15.", "本页面最后修订于2026年3月3日 (星期二) 08:15。")}</li><li>{copyright_line(t)}</li></ul></footer></body></html>'
    )


def baike(t: Text) -> str:
    """Paragraphs are divs, the summary stands apart, a catalogue and readers' statistics around it."""
    title = t.title()
    section = lambda: (
        f'<div class="para-title level-2"><h2 class="title-text">{t.keep(t.title())}</h2><a class="edit-icon" href="/e">{t.say("edit", "编辑")}</a></div>'
        + "".join(t.paragraphs('<div class="para" label-module="para">{}</div>', 2, 4))
    )
    return (
        head(t, title, 40)
        + f'<body class="wiki-lemma normal"><div class="header-wrapper"><div class="navbar-bg">{links(t, 6, 9)}</div></div><div class="body-wrapper"><div class="content-wrapper"><div class="content"><div class="main-content"><dl class="lemmaWgt-lemmaTitle"><dd><h1>{t.keep(title)}</h1></dd></dl><div class="lemma-summary" label-module="lemmaSummary">{"".join(t.paragraphs("""<div class="para" label-module="para">{}</div>""", 2, 3))}</div><div class="lemmaWgt-lemmaCatalog"><h2>{t.say("Contents", "目录")}</h2>{links(t, 4, 7)}</div>{section()}{section()}{section()}<dl class="lemma-reference"><dt>{t.say("References", "参考资料")}</dt><dd>{links(t, 2, 4)}</dd></dl></div><div class="side-content"><dl class="side-box lemma-statistics"><dt>{t.say("Statistics", "词条统计")}</dt><dd>{links(t, 2, 4)}</dd></dl></div></div></div></div><div class="wgt-footer-main"><p>{copyright_line(t)}</p></div></body></html>'
    )


def essays(t: Text) -> str:
    """An encyclopedia of the nineties: headings and paragraphs in the body, without a class."""
    return f'<html><head><title>{t.title()}</title></head><body><a href="index.html">{t.say("Index", "索引")}</a> <a href="a.html">A</a> <a href="b.html">B</a> <a href="c.html">C</a><hr><h1>{t.keep(t.title())}</h1>{"".join(t.paragraphs())}<h2>{t.keep(t.title())}</h2><ol>{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(4))}</ol>{"".join(t.paragraphs())}<hr><a href="prev.html">{t.say("Previous", "上一页")}</a> <a href="next.html">{t.say("Next", "下一页")}</a><address>{copyright_line(t)}</address></body></html>'


def sphinx(t: Text) -> str:
    """A manual: pilcrows behind headings, admonitions, definitions, highlighted listings."""
    title = t.title()
    section = lambda n: (
        f'<section id="s{n}"><h2>{t.keep(t.title())}<a class="headerlink" href="#s{n}" title="Permalink">¶</a></h2>{"".join(t.paragraphs("<p>{}</p>", 1, 3))}<div class="highlight-python notranslate"><div class="highlight"><pre><span></span>{t.keep(code(t))}</pre></div></div></section>'
    )
    return (
        head(t, title, 5)
        + f'<body><div class="related" role="navigation"><h3>{t.say("Navigation", "导航")}</h3><ul><li class="right"><a href="genindex.html">{t.say("index", "索引")}</a></li></ul></div><div class="document"><div class="documentwrapper"><div class="bodywrapper"><div class="body" role="main"><section id="x"><h1>{t.keep(title)}<a class="headerlink" href="#x">¶</a></h1>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}<div class="admonition note"><p class="admonition-title">{t.keep(t.say("Note", "备注"))}</p><p>{t.paragraph(2)}</p></div>'
        f'<dl class="py function"><dt class="sig sig-object" id="f"><code>{t.keep("module.f(value, other)")}</code><a class="headerlink" href="#f">¶</a></dt><dd><p>{t.paragraph(2)}</p></dd></dl>{section(1)}{section(2)}<ul class="simple">{"".join(f"<li><p>{t.keep(t.sentence())}</p></li>" for _ in range(4))}</ul></section></div></div></div><div class="sphinxsidebar" role="navigation"><div class="sphinxsidebarwrapper"><h3>{t.say("Table of Contents", "目录")}</h3>{links(t, 5, 9)}</div></div></div><div class="footer" role="contentinfo">&#169; {copyright_line(t)} Created using Sphinx 7.</div></body></html>'
    )


def docusaurus(t: Text) -> str:
    """Documentation made by a framework: contents on both sides, tabs, copy buttons, edit links."""
    title = t.title()
    flag = lambda n: f"<tr><td><code>{t.keep('--flag-' + str(n))}</code></td><td>{t.keep(t.sentence())}</td></tr>"
    block = lambda: (
        f'<div class="language-bash codeBlockContainer"><div class="codeBlockContent"><pre tabindex="0" class="prism-code"><code>{t.keep(code(t))}</code></pre><div class="buttonGroup"><button>{t.say("Copy", "复制")}</button></div></div></div>'
    )
    return (
        head(t, title, 40)
        + f'<body class="navigation-with-keyboard"><div id="__docusaurus"><div role="region" aria-label="Skip to main content"><a class="skipToContent" href="#c">{t.say("Skip to main content", "跳到主要内容")}</a></div><nav class="navbar navbar--fixed-top">{links(t, 4, 7)}</nav><div class="main-wrapper"><aside class="theme-doc-sidebar-container">{links(t, 20, 40)}</aside><main class="docMainContainer"><div class="row"><div class="col docItemCol"><article><nav class="theme-doc-breadcrumbs">{links(t, 2, 3)}</nav><div class="theme-doc-markdown markdown"><header><h1>{t.keep(title)}</h1></header>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}<h2 class="anchor" id="a">{t.keep(t.title())}<a href="#a" class="hash-link" aria-label="Direct link">&#8203;</a></h2>{block()}'
        f'<ol>{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(4))}</ol><table><thead><tr><th>{t.keep(t.title())}</th><th>{t.keep(t.title())}</th></tr></thead><tbody>{"".join(flag(n) for n in range(4))}</tbody></table><div class="theme-admonition alert alert--info"><p>{t.paragraph(2)}</p></div>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}</div><footer class="theme-doc-footer"><a href="/e" class="theme-edit-this-page">{t.say("Edit this page", "编辑此页")}</a><span>{t.say("Last updated on Mar 3, 2026", "最后于 2026年3月3日 更新")}</span></footer></article><nav class="pagination-nav"><a href="/p">{t.title()}</a><a href="/n">{t.title()}</a></nav></div><div class="col"><div class="tableOfContents">{links(t, 3, 5)}</div></div></div></main></div><footer class="footer">{links(t, 6, 9)}{copyright_line(t)}</footer></div></body></html>'
    )


def manual_page(t: Text) -> str:
    """A manual as a tool wrote it: everything in the body, lists of definitions."""
    item = lambda n: f"<dt><b>{t.keep('-' + n + ', --option-' + n)}</b></dt><dd><p>{t.paragraph(2)}</p></dd>"
    return f'<html><head><title>{t.title()}</title><style>{"p{margin:0}" * 20}</style></head><body><table class="head"><tr><td>TOOL(1)</td><td>{t.say("General Commands Manual", "用户命令手册")}</td><td>TOOL(1)</td></tr></table><h1>{t.keep(t.say("DESCRIPTION", "描述"))}</h1>{"".join(t.paragraphs())}<h1>{t.keep(t.say("OPTIONS", "选项"))}</h1><dl>{"".join(item(c) for c in "abcdefgh")}</dl><h1>{t.keep(t.say("EXAMPLES", "示例"))}</h1><pre>{t.keep(code(t))}</pre>{"".join(t.paragraphs("<p>{}</p>", 1, 3))}<table class="foot"><tr><td>March 3, 2026</td><td>Linux 6.1</td></tr></table></body></html>'


def readme(t: Text) -> str:
    """A repository's front page: a table of files above, the readme is the content."""
    title = t.title()
    row = lambda: (
        f'<tr class="react-directory-row"><td><a href="/f">file{t.draw.randint(1, 99)}.py</a></td><td><a href="/c">{t.title()}</a></td><td>3 {t.say("months ago", "个月前")}</td></tr>'
    )
    return (
        head(t, title, 60)
        + f'<body class="logged-out env-production"><header class="Header-old">{links(t, 6, 9)}</header><div class="application-main"><main><div id="repository-container-header"><strong><a href="/r">repo</a></strong>{links(t, 4, 6)}</div><div class="Layout"><div class="Layout-main"><table aria-labelledby="folders-and-files"><tbody>{t.many(row, 8, 16)}</tbody></table><div id="readme"><article class="markdown-body entry-content" itemprop="text"><div class="markdown-heading"><h1 class="heading-element">{t.keep(title)}</h1><a class="anchor" href="#x">#</a></div>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}<div class="highlight highlight-source-shell"><pre>{t.keep(code(t))}</pre><div class="zeroclipboard-container"><clipboard-copy>{t.say("Copy", "复制")}</clipboard-copy></div></div>'
        f'<ul>{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(5))}</ul>{"".join(t.paragraphs("<p>{}</p>", 1, 3))}<div class="highlight"><pre>{t.keep(code(t))}</pre></div></article></div></div><div class="Layout-sidebar"><h2>{t.say("About", "关于")}</h2><p>{t.sentence()}</p><div class="BorderGrid-cell"><h2>{t.say("Languages", "语言")}</h2>{links(t, 2, 4)}</div></div></div></main></div><footer class="footer">{links(t, 8, 12)}{copyright_line(t)}</footer></body></html>'
    )


def gist(t: Text) -> str:
    """One file, line by line in a table with numbers, and remarks below."""
    lines = t.keep("\n".join(code(t) for _ in range(4))).split("\n")
    rows = "".join(
        f'<tr><td id="L{n}" class="blob-num js-line-number" data-line-number="{n}"></td><td class="blob-code blob-code-inner js-file-line">{line}</td></tr>'
        for n, line in enumerate(lines)
    )
    remark = lambda: (
        f'<div class="timeline-comment js-comment"><div class="timeline-comment-header"><strong>{t.name()}</strong> {t.say("commented", "评论")}</div><div class="comment-body markdown-body"><p>{comment_text(t)}</p></div></div>'
    )
    return (
        head(t, t.title(), 40)
        + f'<body class="logged-out"><div class="Header">{links(t, 3, 5)}</div><div class="gist-content"><div class="file-box"><div class="file"><div class="file-header"><a href="#f">program.py</a><a class="btn" href="/raw">{t.say("Raw", "原始文件")}</a></div><div itemprop="text" class="blob-wrapper data type-python"><table class="highlight tab-size js-file-line-container">{rows}</table></div></div></div><div class="discussion-timeline">{t.many(remark, 1, 3)}</div></div><footer class="footer">{copyright_line(t)}</footer></body></html>'
    )


def tutorial(t: Text) -> str:
    """Short explanations between listings, each with a toolbar; lessons beside."""
    title = t.title()
    step = lambda n: (
        f'<h2>{t.keep(t.title())}</h2><p>{t.paragraph(2)}</p><div class="code-toolbar"><pre class="line-numbers language-python"><code class="language-python">{t.keep(code(t))}</code></pre><div class="toolbar"><div class="toolbar-item"><button>{t.say("Copy", "复制代码")}</button></div></div></div><p>{t.paragraph(1)}</p>'
    )
    return (
        head(t, title, 25)
        + f'<body><div class="navbar-container">{links(t, 6, 12)}</div><div class="container main"><div class="row"><div class="col left-column"><div class="tab">{t.say("Tutorial", "教程")}</div><div id="leftcolumn" class="design">{links(t, 20, 40)}</div></div><div class="col middle-column"><div class="article"><div class="previous-next-links"><a href="/p">{t.title()}</a></div><div class="article-body"><div class="article-intro" id="content"><h1>{t.keep(title)}</h1><div class="meta">{byline(t)}</div>{"".join(step(n) for n in range(4))}</div></div><div class="previous-next-links"><a href="/p">{t.title()}</a><a href="/n">{t.title()}</a></div></div><div class="feedback-btn"><a href="/f">{t.say("Feedback", "反馈/建议")}</a></div></div><div class="col right-column">{links(t, 6, 12)}</div></div></div><div id="footer"><p>{copyright_line(t)}</p></div></body></html>'
    )


LAYOUTS = {
    "encyclopedia": (mediawiki, baike, essays),
    "documentation": (sphinx, docusaurus, manual_page),
    "code": (readme, gist, tutorial),
}
