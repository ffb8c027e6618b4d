"""Forums and shops: what visitors wrote is the content of the one, and surroundings of the other."""

from tests.benchmarks.layouts.news import teaser
from tests.benchmarks.layouts.text import Text, comment_text, consent, copyright_line, head, links


def board(t: Text) -> str:
    """A bulletin board: profile beside each post, signature below it."""
    title = t.title()
    post = lambda: (
        f'<div id="p{t.draw.randint(1, 9999)}" class="post has-profile bg2"><div class="inner"><dl class="postprofile"><dt class="author"><a href="/u" class="username">{t.name()}</a></dt><dd class="profile-rank">{t.say("Member", "会员")}</dd><dd class="profile-posts"><strong>{t.say("Posts", "帖子")}:</strong> 120</dd></dl>'
        f'<div class="postbody"><div><h3><a href="#p1">Re: {title}</a></h3><ul class="post-buttons"><li><a href="/q">{t.say("Quote", "引用")}</a></li></ul><p class="author">{t.say("Post by", "由")} <a>{t.name()}</a> » 2026-03-03 08:15</p><div class="content">{"<br>".join(t.paragraphs("{}", 1, 4))}</div><div class="signature">{t.sentence()}</div></div></div><div class="back2top"><a href="#top">Top</a></div></div></div>'
    )
    return (
        head(t, title, 10)
        + f'<body id="phpbb" class="nojs section-viewtopic"><div id="wrap" class="wrap"><div id="page-header"><div class="headerbar">{links(t, 3, 5)}</div><div class="navbar"><ul id="nav-breadcrumbs">{links(t, 3, 4)}</ul></div></div><div id="page-body"><h2 class="topic-title"><a href="/t">{title}</a></h2><div class="action-bar bar-top"><div class="pagination">5 {t.say("posts", "篇帖子")} • {t.say("Page 1 of 1", "第 1 页")}</div></div>{t.many(post, 3, 8)}<div class="action-bar bar-bottom">{links(t, 2, 3)}</div></div><div id="page-footer" class="page-footer">{copyright_line(t)}</div></div></body></html>'
    )


def discuz(t: Text) -> str:
    """The Chinese board: tables in tables, the text in a cell of class t_f."""
    title = t.title()
    post = lambda: (
        f'<div id="post_{t.draw.randint(1, 9999)}"><table class="plhin"><tr><td class="pls" rowspan="2"><div class="pls favatar"><div class="authi"><a href="/u" class="xw1">{t.name()}</a></div><p><em>{t.say("Novice", "新手上路")}</em></p><dl class="pil cl"><dt>{t.say("Credits", "积分")}</dt><dd>120</dd></dl></div></td>'
        f'<td class="plc"><div class="pi"><div class="pti"><div class="authi"><em>{t.say("Posted on", "发表于")} 2026-3-3 08:15:00</em> | <a href="/o">{t.say("Author only", "只看该作者")}</a></div></div></div><div class="pct"><div class="pcb"><div class="t_fsz"><table cellspacing="0" cellpadding="0"><tr><td class="t_f" id="postmessage_1">{"<br />".join(t.paragraphs("{}", 1, 4))}</td></tr></table></div></div></div></td></tr>'
        f'<tr><td class="plc plm"><div class="sign">{t.sentence()}</div></td></tr><tr><td class="plc"><div class="po hin"><div class="pob cl"><em><a class="fastre" href="/r">{t.say("Reply", "回复")}</a></em><p><a href="/j">{t.say("Report", "举报")}</a></p></div></div></td></tr></table></div>'
    )
    return (
        head(t, title, 10)
        + f'<body id="nv_forum" class="pg_viewthread"><div id="toptb" class="cl"><div class="wp">{links(t, 2, 4)}</div></div><div id="hd"><div id="nv">{links(t, 5, 9)}</div></div><div id="wp" class="wp"><div id="pt" class="bm cl"><div class="z"><a href="/">{t.say("Forum", "论坛")}</a> › <a href="/f">{t.title()}</a></div></div><div id="ct" class="wp cl"><div id="pgt" class="pgs mbm cl"><div class="pgt"><a href="/2">2</a></div></div><div id="postlist" class="pl bm"><table><tr><td class="pls ptn pbn"><span class="xg1">{t.say("Views", "查看")}: 1024</span></td><td class="plc ptm pbn"><h1 class="ts"><span id="thread_subject">{title}</span></h1></td></tr></table>{t.many(post, 3, 7)}</div></div></div><div id="ft" class="wp cl"><p>Powered by Discuz! X3.4</p><p>{copyright_line(t)}</p></div></body></html>'
    )


def question(t: Text) -> str:
    """A question and its answers; short remarks below each are surroundings."""
    title = t.title()
    remark = lambda: (
        f'<li class="comment js-comment"><div class="comment-text"><span class="comment-copy">{comment_text(t)}</span> – <a href="/u" class="comment-user">{t.name()}</a></div></li>'
    )
    entry = lambda kind: (
        f'<div class="{kind} js-{kind}"><div class="post-layout"><div class="votecell"><div class="js-vote-count">12</div></div><div class="{"post" if kind == "question" else "answer"}cell"><div class="s-prose js-post-body" itemprop="text">{"".join(t.paragraphs("<p>{}</p>", 2, 5))}</div><div class="post-menu"><a href="/s">{t.say("Share", "分享")}</a> <a href="/e">{t.say("Improve this answer", "编辑")}</a></div><div class="post-signature"><div class="user-info"><a href="/u">{t.name()}</a> 1,234</div></div></div></div><div class="comments js-comments-container"><ul class="comments-list">{t.many(remark, 0, 3)}</ul></div></div>'
    )
    return (
        head(t, title, 30)
        + f'<body class="question-page unified-theme">{consent(t)}<header class="s-topbar">{links(t, 4, 6)}</header><div class="container"><div id="left-sidebar"><nav>{links(t, 4, 7)}</nav></div><div id="content" class="snippet-hidden"><div id="question-header"><h1><a href="/q">{title}</a></h1></div><div>{t.say("Asked 3 years ago. Viewed 12k times", "提问于 3 年前 浏览 1.2 万次")}</div><div id="mainbar">{entry("question")}<div id="answers"><h2>{t.say("3 Answers", "3 个回答")}</h2>{t.many(lambda: entry("answer"), 2, 4)}</div></div><div id="sidebar"><div class="module sidebar-linked"><h4>{t.say("Linked", "相关问题")}</h4>{links(t, 5, 9)}</div><div class="module sidebar-related"><h4>{t.say("Related", "推荐")}</h4>{links(t, 8, 12)}</div></div></div></div><footer id="footer">{links(t, 12, 20)}<p>{copyright_line(t)}</p></footer></body></html>'
    )


def thread(t: Text) -> str:
    """A page that is nothing but comments: they are the content."""
    title = t.title()
    row = lambda: (
        f'<tr class="athing comtr"><td><table><tr><td class="ind"></td><td class="default"><div><span class="comhead"><a href="/u" class="hnuser">{t.name()}</a> <span class="age">2 {t.say("hours ago", "小时前")}</span> | <a href="/n">{t.say("next", "下一条")}</a></span></div><div class="comment"><div class="commtext c00">{t.paragraph(4)}{"".join(t.paragraphs("<p>{}</p>", 0, 2))}</div><div class="reply"><p><font size="1"><u><a href="/r">{t.say("reply", "回复")}</a></u></font></div></div></td></tr></table></td></tr>'
    )
    return f'<html lang="{t.language}"><head><title>{title}</title></head><body><center><table id="hnmain"><tr><td bgcolor="#ff6600"><a href="/new">{t.say("new", "最新")}</a> | <a href="/past">{t.say("past", "往日")}</a> | <a href="/c">{t.say("comments", "评论")}</a></td></tr><tr><td><table class="fatitem"><tr class="athing"><td class="title"><span class="titleline"><a href="/x">{title}</a></span></td></tr></table><table class="comment-tree">{t.many(row, 6, 14)}</table></td></tr><tr><td><center><span class="yclinks">{links(t, 5, 8)}</span></center></td></tr></table></center></body></html>'


def discourse(t: Text) -> str:
    """A modern forum as it answers a crawler."""
    title = t.title()
    post = lambda n: (
        f'<div id="post_{n}" itemprop="comment" itemscope class="topic-body crawler-post"><div class="crawler-post-meta"><span class="creator"><a href="/u"><span>{t.name()}</span></a></span><time class="post-time">{t.say("March 3, 2026, 8:15am", "2026 年3 月 3 日 08:15")}</time><span itemprop="position">{n}</span></div><div class="post" itemprop="text">{"".join(t.paragraphs("<p>{}</p>", 1, 4))}</div><div><span class="post-likes">3 {t.say("Likes", "个赞")}</span></div></div>'
    )
    related = lambda: (
        f'<tr class="topic-list-item"><td class="main-link"><a href="/t" class="title raw-link">{t.title()}</a></td><td class="replies"><span class="posts">3</span></td><td>{t.say("January 5, 2026", "2026 年1 月 5 日")}</td></tr>'
    )
    return (
        head(t, title, 12)
        + f'<body class="crawler browser-update"><header><a href="/">{t.title()}</a></header><div id="main-outlet" class="wrap" role="main"><div id="topic-title"><h1><a href="/t">{title}</a></h1><div class="topic-category"><a href="/c">{t.title()}</a></div></div><div itemscope itemtype="http://schema.org/DiscussionForumPosting">{"".join(post(n) for n in range(1, t.draw.randint(4, 8)))}</div><div id="related-topics" class="more-topics__list"><h3 class="more-topics__list-title">{t.say("Related topics", "相关话题")}</h3><table class="topic-list"><tbody>{t.many(related, 3, 6)}</tbody></table></div></div><footer class="container wrap"><nav class="crawler-nav">{links(t, 3, 5)}</nav></footer></body></html>'
    )


def woocommerce(t: Text) -> str:
    """A small shop: description and attributes are the content, reviews and other products are not."""
    title = t.title()
    product = lambda: (
        f'<li class="product"><a href="/p" class="woocommerce-loop-product__link"><h2>{t.title()}</h2><span class="price">$12.00</span></a><a class="button add_to_cart_button" href="?a">{t.say("Add to cart", "加入购物车")}</a></li>'
    )
    review = lambda: (
        f'<li class="review"><div class="comment_container"><div class="comment-text"><p class="meta"><strong>{t.name()}</strong></p><div class="description"><p>{comment_text(t)}</p></div></div></div></li>'
    )
    attribute = lambda: (
        f'<tr class="woocommerce-product-attributes-item"><th>{t.keep(t.title())}</th><td><p>{t.keep(t.title())}</p></td></tr>'
    )
    return (
        head(t, title, 30)
        + f'<body class="product-template-default single-product woocommerce-page"><header class="site-header"><nav>{links(t)}</nav><a class="cart-contents" href="/cart">$0.00 0 {t.say("items", "件")}</a></header><nav class="woocommerce-breadcrumb">{t.title()} / {t.title()}</nav><div id="primary"><main><div id="product-1" class="product type-product"><div class="summary entry-summary"><h1 class="product_title">{title}</h1><p class="price">$99.00</p><div class="woocommerce-product-details__short-description"><p>{t.paragraph(2)}</p></div><form class="cart"><button>{t.say("Add to cart", "加入购物车")}</button></form><div class="product_meta"><span class="sku_wrapper">SKU: 123</span></div></div>'
        f'<div class="woocommerce-tabs"><ul class="tabs wc-tabs"><li><a href="#d">{t.say("Description", "描述")}</a></li><li><a href="#r">{t.say("Reviews (3)", "用户评论 (3)")}</a></li></ul><div class="woocommerce-Tabs-panel" id="tab-description">{"".join(t.paragraphs("<p>{}</p>", 3, 6))}<ul>{"".join(f"<li>{t.keep(t.sentence())}</li>" for _ in range(4))}</ul></div><div id="tab-additional_information"><table class="woocommerce-product-attributes">{t.many(attribute, 3, 6)}</table></div><div class="woocommerce-Tabs-panel--reviews" id="tab-reviews"><div id="reviews"><ol class="commentlist">{t.many(review, 2, 6)}</ol></div></div></div>'
        f'<section class="related products"><h2>{t.say("Related products", "相关产品")}</h2><ul class="products">{t.many(product, 3, 6)}</ul></section></div></main></div><footer class="site-footer">{links(t)}<p>{copyright_line(t)}</p></footer></body></html>'
    )


def marketplace(t: Text) -> str:
    """A large shop: points, a description and a table of facts among carousels and reviews."""
    title = t.title()
    review = lambda: (
        f'<div data-hook="review" class="a-section review aok-relative"><span class="a-profile-name">{t.name()}</span><span class="review-text-content">{comment_text(t)}</span><span>{t.say("Helpful", "有用")}</span></div>'
    )
    fact = lambda: (
        f'<tr><th class="prodDetSectionEntry">{t.keep(t.title())}</th><td class="prodDetAttrValue">{t.keep(t.title())}</td></tr>'
    )
    carousel = lambda: (
        f'<div class="a-carousel-container"><h2 class="a-carousel-heading">{t.say("Customers also bought", "看了又看")}</h2><ol class="a-carousel">{t.many(lambda: f"""<li class="a-carousel-card"><a href="/dp">{t.title()}</a><span class="a-price">$9.99</span></li>""", 5, 9)}</ol></div>'
    )
    return (
        head(t, title, 90)
        + f'<body class="a-m-us"><div id="navbar" class="nav-sprite">{links(t, 20, 30)}</div><div id="dp" class="electronics"><div id="wayfinding-breadcrumbs_container">{links(t, 3, 4)}</div><div id="centerCol"><h1 id="title"><span id="productTitle">{title}</span></h1><div id="feature-bullets"><ul class="a-unordered-list">{"".join(f"""<li><span class="a-list-item">{t.keep(t.sentence())}</span></li>""" for _ in range(5))}</ul></div></div>{carousel()}<div id="productDescription" class="a-section">{"".join(t.paragraphs("<p><span>{}</span></p>", 3, 6))}</div><div id="prodDetails"><table id="productDetails_techSpec">{t.many(fact, 4, 8)}</table></div>{carousel()}<div id="reviewsMedley"><div id="cm-cr-dp-review-list">{t.many(review, 2, 5)}</div></div></div><div id="navFooter">{links(t, 20, 30)}<span>{copyright_line(t)}</span></div></body></html>'
    )


def plain_shop(t: Text) -> str:
    """A shop page by hand: description in divs, teasers of other goods."""
    title = t.title()
    return (
        head(t, title, 15)
        + f'<body><div class="header">{links(t, 5, 9)}</div><div class="goods-detail"><div class="goods-info"><h1>{title}</h1><div class="price">¥ 199.00</div><a class="buy-btn" href="/buy">{t.say("Buy now", "立即购买")}</a></div><div class="goods-desc" id="detail">{"".join(t.paragraphs("<div>{}</div>", 5, 9))}</div></div><div class="guess-like"><h3>{t.say("You may also like", "猜你喜欢")}</h3>{t.many(lambda: teaser(t), 4, 8)}</div><div class="service-promise">{links(t, 3, 5)}</div><div class="foot">{copyright_line(t)}</div></body></html>'
    )


LAYOUTS = {"forum": (board, discuz, question, thread, discourse), "shop": (woocommerce, marketplace, plain_shop)}
