"""News and blogs: one article among menus, teasers, comments and promotions."""

from tests.benchmarks.layouts.text import Text, bloat, code, comment_text, consent, copyright_line, head, links


def teaser(t: Text) -> str:
    return (
        f'<div class="card"><a href="/a/{t.draw.randint(1, 999)}.html"><img src="x.jpg" alt=""><h3>{t.title()}</h3></a>'
        f"<p>{t.sentence()}</p></div>"
    )


def byline(t: Text) -> str:
    return t.say(
        f"By {t.name()} · Published March 3, 2026 · 5 min read", f"2026年03月03日 08:15 来源：示例日报 作者：{t.name()}"
    )


def broadcaster(t: Text) -> str:
    """A broadcaster's site: components named for what they are, cards within the article, most read behind it."""
    title, body = t.title(), t.paragraphs('<p class="paragraph inline-placeholder">{}</p>')
    body.insert(
        len(body) // 2,
        f'<div class="related-content related-content--article"><a href="/a"><h3>{t.title()}</h3></a><p>{t.sentence()}</p></div>',
    )
    body.insert(2, f'<div class="ad-slot" data-ad="1"><span>{t.say("Advertisement", "广告")}</span></div>')
    body.insert(
        1,
        f'<figure class="image"><img src="a.jpg"><figcaption>{t.sentence()} <span class="credit">{t.name()}/Getty</span></figcaption></figure>',
    )
    return (
        head(t, title, 60)
        + f'<body class="layout-with-rail has-comments">{consent(t)}<header class="header"><nav class="header__nav">{links(t, 20, 40)}</nav></header>'
        f'<section class="layout__wrapper"><div class="headline"><h1>{title}</h1><div class="headline__byline">{byline(t)}</div></div>'
        f'<div class="layout__main"><article class="article"><main class="article__main"><div class="article__content-container"><div class="article__content" itemprop="articleBody">{"".join(body)}</div></div></main></article></div>'
        f'<div class="layout__rail"><div class="zone--most-read"><h2>{t.say("Most read", "热门新闻")}</h2>{t.many(lambda: teaser(t), 5, 9)}</div></div>'
        f'<section class="zone"><h2>{t.say("More from Site", "更多精彩")}</h2>{t.many(lambda: teaser(t), 6, 12)}</section></section>'
        f'<footer class="footer">{links(t, 20, 40)}<p>{copyright_line(t)}</p></footer></body></html>'
    )


def portal(t: Text) -> str:
    """A portal of the Chinese kind: body in a div, editor's line, recommendations and readers' comments behind."""
    title = t.title()
    note = lambda: (
        f'<div class="comment-item"><span class="user">{t.name()}</span><div class="content">{comment_text(t)}</div><a href="#">{t.say("Reply", "回复")}</a><span>{t.say("Like", "赞")} 12</span></div>'
    )
    return (
        head(t, title, 30)
        + f'<body><div class="top-nav">{links(t, 15, 25)}</div><div class="path crumbs"><a href="/">{t.say("Home", "首页")}</a> &gt; <a href="/n">{t.say("News", "新闻")}</a> &gt; {t.say("Article", "正文")}</div>'
        f'<div class="container clearfix" id="container"><div class="post_main"><h1 class="post_title">{title}</h1><div class="post_info">{byline(t)} <a href="#post_comment">{t.say("Report", "举报")}</a></div>'
        f'<div class="post_content" id="content"><div class="post_top"><div class="post_top_tie"><a class="post_top_tie_icon" href="/c">{t.say("Comments", "跟贴")} 1024</a></div><div class="post_top_share"><span>{t.say("Share to", "分享至")}</span>{links(t, 3, 5)}</div></div>'
        f'<div class="post_body">{"".join(t.paragraphs("<p>　　{}</p>" if t.zh else "<p>{}</p>"))}<p style="text-align:center"><img src="1.jpg"></p>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}</div>'
        f'<div class="post_author"><span>{t.say("Editor", "责任编辑")}：{t.name()}_NB12345</span></div><div class="post_statement">{t.say("The opinions expressed here are those of the author and do not represent the site.", "特别声明：以上文章内容仅代表作者本人观点，不代表本网站观点或立场。如有关于作品内容、版权或其它问题请于作品发表后的30日内与我们联系。")}</div></div>'
        f'<div class="post_recommends"><h2>{t.say("Recommended", "相关推荐")}</h2>{t.many(lambda: teaser(t), 4, 8)}</div><div class="tie-area" id="post_comment"><h3>{t.say("Comments", "网友评论")}</h3>{t.many(note, 3, 9)}</div></div>'
        f'<div class="post_side"><div class="mod_hot"><h2>{t.say("Hot now", "热点排行")}</h2>{links(t, 10, 20)}</div></div></div><div class="N-nav-bottom"><p>{copyright_line(t)}</p></div></body></html>'
    )


def old_table(t: Text) -> str:
    """A page of tables and line breaks, without a class that says anything."""
    body = "<br><br>\n".join(f"{'　　' if t.zh else ''}{p}" for p in t.paragraphs("{}"))
    row = lambda: f'<tr><td><font size="2">·<a href="n{t.draw.randint(1, 99)}.htm">{t.title()}</a></font></td></tr>'
    return (
        f'<html><head><title>{t.title()}</title></head><body bgcolor="#ffffff"><table width="100%"><tr><td><a href="/">{t.say("Home", "首页")}</a> | <a href="/n">{t.say("News", "新闻")}</a> | <a href="/b">{t.say("Business", "财经")}</a> | <a href="/s">{t.say("Sport", "体育")}</a></td></tr></table>'
        f'<table width="760"><tr><td width="160" valign="top"><table>{t.many(row, 8, 16)}</table></td><td valign="top"><center><font size="5"><b>{t.title()}</b></font></center><hr><font size="3">{body}</font><br><br></td></tr></table>'
        f'<center><font size="1">{copyright_line(t)}</font></center></body></html>'
    )


def wordpress_news(t: Text) -> str:
    """Classes that name the tags and categories of the post, and a body class for every widget there is."""
    title = t.title()
    note = lambda: (
        f'<li class="comment even depth-1"><article class="comment-body"><footer class="comment-meta"><b class="fn">{t.name()}</b> <a href="#c">{t.say("March 3, 2026 at 8:15", "2026年3月3日")}</a></footer><div class="comment-content"><p>{comment_text(t)}</p></div><div class="reply"><a href="?r">{t.say("Reply", "回复")}</a></div></article></li>'
    )
    widget = lambda: (
        f'<section class="widget widget_recent_entries"><h2 class="widget-title">{t.say("Recent Posts", "近期文章")}</h2>{links(t, 5, 9)}</section>'
    )
    return (
        head(t, title, 25)
        + f'<body class="post-template-default single single-post has-sidebar comments-open related-on"><div id="page" class="site"><header id="masthead" class="site-header"><nav class="main-navigation">{links(t)}</nav></header>'
        f'<div id="content" class="site-content has-sidebar"><div id="primary" class="content-area"><main id="main" class="site-main"><article id="post-1" class="post-1 post type-post status-publish category-related-news tag-comments tag-social-media hentry"><header class="entry-header"><h1 class="entry-title">{title}</h1><div class="entry-meta">{byline(t)}</div></header>'
        f'<div class="entry-content">{"".join(t.paragraphs())}<h2>{t.keep(t.title())}</h2>{"".join(t.paragraphs("<p>{}</p>", 2, 5))}<div class="sharedaddy sd-sharing-enabled"><h3 class="sd-title">{t.say("Share this:", "分享到：")}</h3>{links(t, 3, 6)}</div><div id="jp-relatedposts" class="jp-relatedposts"><h3 class="jp-relatedposts-headline"><em>{t.say("Related", "相关")}</em></h3>{t.many(lambda: teaser(t), 3, 3)}</div></div>'
        f'<footer class="entry-footer"><span class="cat-links">{t.say("Posted in", "分类")} <a href="/c">{t.title()}</a></span><span class="tags-links">{t.say("Tagged", "标签")} <a href="/t">{t.title()}</a>, <a href="/t">{t.title()}</a></span></footer></article>'
        f'<nav class="navigation post-navigation"><a href="/p">{t.say("Previous", "上一篇")} {t.title()}</a><a href="/n">{t.say("Next", "下一篇")} {t.title()}</a></nav><div id="comments" class="comments-area"><h2 class="comments-title">{t.say("3 thoughts on", "3条评论")}</h2><ol class="comment-list">{t.many(note, 2, 7)}</ol><div id="respond" class="comment-respond"><h3>{t.say("Leave a Reply", "发表回复")}</h3><form><p class="comment-notes">{t.say("Your email address will not be published. Required fields are marked *", "您的邮箱地址不会被公开。 必填项已用 * 标注")}</p></form></div></div></main></div>'
        f'<aside id="secondary" class="widget-area">{t.many(widget, 2, 4)}</aside></div><footer id="colophon" class="site-footer"><p>{copyright_line(t)}</p></footer></div></body></html>'
    )


def utility_classes(t: Text) -> str:
    """No class says what it is for: structure and links alone tell the article from what follows."""
    title = t.title()
    card = lambda: (
        f'<a class="block p-4" href="/a/{t.draw.randint(1, 99)}"><h3 class="text-lg">{t.title()}</h3><p class="text-sm mt-2">{t.sentence()}</p></a>'
    )
    note = lambda: (
        f'<div class="py-4 flex"><div class="text-xs">{t.name()} · 2h</div><p class="text-sm">{comment_text(t)}</p></div>'
    )
    return (
        head(t, title, 45)
        + f'<body class="antialiased"><div id="__next"><div class="flex items-center">{t.many(lambda: f"""<a class="px-2" href="/{t.draw.randint(1, 99)}">{t.title()}</a>""", 6, 12)}</div><main class="max-w-screen-xl mx-auto"><div class="grid"><div class="col-span-8"><h1 class="text-4xl">{title}</h1><p class="text-gray-500">{byline(t)}</p><div class="mt-8">'
        f'{"".join(t.paragraphs("""<p class="mb-4 leading-7">{}</p>"""))}<ul class="list-disc">{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(3))}</ul>{"".join(t.paragraphs("""<p class="mb-4 leading-7">{}</p>""", 2, 5))}</div></div></div>'
        f'<div class="mt-12"><h2 class="text-2xl">{t.say("You may also like", "猜你喜欢")}</h2><div class="grid grid-cols-3">{t.many(card, 3, 6)}</div></div><div class="mt-12"><h2 class="text-2xl">{t.say("Comments", "评论")} (12)</h2>{t.many(note, 2, 8)}</div></main><div class="bg-black text-white"><p>{copyright_line(t)}</p></div></div>{bloat(t, 30)}</body></html>'
    )


def blogger(t: Text) -> str:
    """Line breaks for paragraphs, archive and profile beside, comments below."""
    title = t.title()
    note = lambda: (
        f'<li class="comment"><div class="comment-block"><cite class="user">{t.name()}</cite><p class="comment-content">{comment_text(t)}</p><span class="comment-actions"><a>{t.say("Reply", "回复")}</a></span></div></li>'
    )
    return (
        head(t, title, 15)
        + f'<body class="item-view"><div class="navbar section"><div>{links(t, 2, 4)}</div></div><div class="main-outer"><div class="main section" id="main"><div class="blog-posts hfeed"><h2 class="date-header">{t.say("Tuesday, March 3, 2026", "2026年3月3日星期二")}</h2><div class="post hentry uncustomized-post-template" itemscope><h3 class="post-title entry-title">{title}</h3>'
        f'<div class="post-body entry-content" id="post-body-1">{"<br /><br />".join(t.paragraphs("{}"))}<div style="clear: both;"></div></div><div class="post-footer"><div class="post-footer-line"><span class="post-author vcard">{t.say("Posted by", "发帖者")} {t.name()}</span> <span class="post-labels">{t.say("Labels:", "标签：")} <a href="/l">{t.title()}</a></span></div></div></div>'
        f'<div class="comments" id="comments"><h4>{t.say("5 comments:", "5 条评论:")}</h4><div class="comments-content"><ol>{t.many(note, 2, 9)}</ol></div></div></div><div class="blog-pager" id="blog-pager"><a href="/n">{t.say("Newer Post", "较新的博文")}</a><a href="/o">{t.say("Older Post", "较早的博文")}</a></div></div>'
        f'<div class="sidebar section"><div class="widget BlogArchive"><h2>{t.say("Blog Archive", "博客归档")}</h2>{links(t, 12, 24)}</div><div class="widget Profile"><h2>{t.say("About Me", "关于我")}</h2><p>{t.sentence()}</p></div></div></div></body></html>'
    )


def hexo(t: Text) -> str:
    """A programmer's blog: code in figures of tables, a table of contents, licence box and reward."""
    title, program = t.title(), code(t)
    gutter = "<br>".join(f'<span class="line">{n + 1}</span>' for n in range(program.count("\n") + 1))
    listing = "<br>".join(f'<span class="line">{line}</span>' for line in t.keep(program).split("\n"))
    headings = [t.keep(t.title()) for _ in range(2)]
    toc = "".join(f'<li class="nav-item"><a class="nav-link" href="#h{n}">{h}</a></li>' for n, h in enumerate(headings))
    return (
        head(t, title, 20)
        + f'<body itemscope itemtype="http://schema.org/WebPage"><div class="container"><header class="header"><div class="site-brand-container"><h1 class="site-title">{t.title()}</h1></div><nav class="site-nav">{links(t, 4, 7)}</nav></header><aside class="sidebar"><div class="post-toc"><ol class="nav">{toc}</ol></div><div class="site-overview"><p class="site-author-name">{t.name()}</p></div></aside>'
        f'<main class="main"><div class="content post posts-expand"><article class="post-block"><header class="post-header"><h1 class="post-title">{title}</h1><div class="post-meta">{byline(t)}</div></header><div class="post-body" itemprop="articleBody">{"".join(t.paragraphs("<p>{}</p>", 3, 6))}<h2 id="h0"><a href="#h0" class="headerlink" title="{headings[0]}"></a>{headings[0]}</h2>'
        f'<figure class="highlight python"><table><tr><td class="gutter"><pre>{gutter}</pre></td><td class="code"><pre>{listing}</pre></td></tr></table></figure>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}<h2 id="h1"><a href="#h1" class="headerlink">#</a>{headings[1]}</h2><blockquote><p>{t.paragraph(2)}</p></blockquote>{"".join(t.paragraphs("<p>{}</p>", 2, 4))}</div>'
        f'<div class="reward-container"><div>{t.say("Buy me a coffee", "坚持原创技术分享，您的支持将鼓励我继续创作！")}</div><button>{t.say("Donate", "打赏")}</button></div><ul class="post-copyright"><li><strong>{t.say("Post author", "本文作者")}：</strong>{t.name()}</li><li><strong>{t.say("Post link", "本文链接")}：</strong><a href="/x">https://blog.example/x</a></li></ul>'
        f'<footer class="post-footer"><div class="post-tags"><a href="/t"># {t.title()}</a></div><div class="post-nav"><a href="/p">{t.title()}</a><a href="/n">{t.title()}</a></div></footer></article></div></main><footer class="footer">{copyright_line(t)}</footer></div></body></html>'
    )


def developers_portal(t: Text) -> str:
    """A large blog host: recommendations after the text longer than the text."""
    title = t.title()
    box = lambda: (
        f'<div class="recommend-item-box type_blog clearfix"><div class="content-box"><a href="/b"><div class="title-box">{t.title()}</div></a><div class="desc-box">{t.sentence()}</div><span class="info-block">{t.say("Views", "阅读")} 1万+</span></div></div>'
    )
    note = lambda: (
        f'<ul class="comment-list"><li class="comment-line-box"><div class="right-box"><a href="/u">{t.name()}</a><span class="new-comment">{comment_text(t)}</span></div></li></ul>'
    )
    return (
        head(t, title, 50)
        + f'<body class="nodata"><div id="csdn-toolbar"><div class="toolbar-inside">{links(t, 12, 18)}</div></div><div class="main_father clearfix"><div class="container clearfix" id="mainBox"><main><div class="blog-content-box"><div class="article-header-box"><h1 class="title-article">{title}</h1><div class="article-info-box"><span class="time">{byline(t)}</span><span class="read-count">{t.say("Views", "阅读量")} 3.2k</span><div class="tags-box"><a href="/t">{t.title()}</a></div></div></div>'
        f'<article class="baidu_pl"><div id="article_content" class="article_content clearfix"><div id="content_views" class="markdown_views prism-atom-one-dark">{"".join(t.paragraphs("<p>{}</p>", 3, 6))}<h3>{t.keep(t.title())}</h3><pre class="prettyprint"><code class="prism language-python has-numbering">{t.keep(code(t))}</code></pre>{"".join(t.paragraphs("<p>{}</p>", 1, 4))}</div></div></article></div>'
        f'<div class="recommend-box">{t.many(box, 6, 14)}</div><div class="comment-box" id="pcCommentBox">{t.many(note, 1, 6)}</div></main><aside class="blog_container_aside"><div class="aside-box"><h3>{t.say("Popular", "热门文章")}</h3>{links(t, 5, 8)}</div></aside></div></div></body></html>'
    )


def hashed_classes(t: Text) -> str:
    """Class names that a build tool made; author's box, applause and more stories at the end."""
    title, c = t.title(), lambda: "".join(t.draw.choices("abcdefghijklm", k=2))
    story = lambda: (
        f'<div class="{c()} {c()}"><div><a href="/@{c()}">{t.name()}</a></div><a href="/s"><h2>{t.title()}</h2><h3>{t.sentence()}</h3></a><div><span>Mar 1</span></div></div>'
    )
    return (
        head(t, title, 70)
        + f'<body><div id="root"><div class="a b c"><div class="{c()}"><a href="/">Home</a><a href="/signin">{t.say("Sign in", "登录")}</a><a href="/signup">{t.say("Get started", "注册")}</a></div><div class="{c()}"><article><div class="{c()}"><section><div><h1 class="pw-post-title">{title}</h1><div class="{c()}"><a href="/@x">{t.name()}</a><button>{t.say("Follow", "关注")}</button><span>5 min read</span></div>'
        f'{"".join(t.paragraphs(f"""<p class="pw-post-body-paragraph {c()}">{{}}</p>"""))}<h2 class="{c()}">{t.keep(t.title())}</h2>{"".join(t.paragraphs(f"""<p class="pw-post-body-paragraph {c()}">{{}}</p>""", 2, 6))}</div></section></div></article></div>'
        f'<div class="{c()}"><div><a href="/t">{t.title()}</a><a href="/t">{t.title()}</a></div><div><h2>{t.say("Written by", "作者")} {t.name()}</h2><p>1.2K Followers</p></div></div><div class="{c()}"><h2>{t.say("More from the author", "更多文章")}</h2>{t.many(story, 3, 6)}</div><div><h2>{t.say("Recommended from the site", "推荐阅读")}</h2>{t.many(story, 3, 6)}</div><div>{links(t, 6, 9)}</div></div></div></body></html>'
    )


LAYOUTS = {
    "news": (broadcaster, portal, old_table, wordpress_news, utility_classes),
    "blog": (blogger, hexo, developers_portal, hashed_classes),
}
