"""What the class and id of an element say about it, word by word.

Names are split at hyphens, underscores and capitals: `stock-list` and `protocol` hold no `toc`. The words are those
that publishing systems use; a name is a hint, and an element that holds most of a page's prose stays whatever it is
called (`corpus/extract/prune.py`).
"""

import re
from functools import lru_cache
from typing import Literal

Meaning = Literal["noise", "small", "comments"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
# First words that say that something is there, not that this is it: has-sidebar, comments-open, no-nav.
_STATES = frozenset("has with without no is not js layout elementor tag category wp theme template format".split())
_STATED = frozenset("open closed enabled disabled on off layout wrapper true false".split())

_NOISE = re.compile(
    r"\b(?:nav|navs|\w*navbar|navbox|topnav|subnav|navigation|navi|menu|menus|submenu|megamenu|dropdown|breadcrumbs?|crumbs?"
    r"|crumb|sidebar|sidenav|leftbar|rightbar|footer|colophon|masthead|topbar"
    r"|share|shares|sharing|sharebar|sharedaddy|social|sns|bdsharebuttonbox|addthis|addtoany|qrcode|erweima|fenxiang"
    r"|related|relates|relatedposts|recommend\w*|suggested|similar|trending|mostread|upsells?|teasers?|tuijian|xiangguan"
    r"|outbrain|taboola|promo|promos|promoted|promotion|sponsor\w*|advert\w*|ads?|adsbygoogle|guanggao|banner|dfp"
    r"|cookies?|consent|gdpr|newsletter|subscribe|subscription|signup|signin|login|paywall|popup|modal|lightbox"
    r"|pagination|pager|paging|toc|toctitle|minitoc|tagcloud|hatnote|noprint|printfooter|catlinks|reflist"
    r"|editsection|headerlink|postprofile|colorbox|skiplink|tooltip|carousel|slideshow|daohang|mianbao)\b"
    r"|\b(?:most|more) (?:read|popular|viewed|from|stories|news|topics)\b|\b(?:read|see) (?:more|also|next)\b"
    r"|\b(?:site|page|global|top) (?:header|head|bar|nav)\b|\bheader (?:nav|bar|wrapper)\b"
    r"|\b(?:guess|you may) (?:you )?(?:also )?like\b|\bhot (?:list|news|rank|articles?)\b|\b(?:mod|side|aside) (?:hot|box)\b"
    r"|\b(?:rank|ranking) (?:list|box)\b|\bskip (?:link|to content|nav)\b|\btable of ?contents\b|\bpost (?:nav|navigation|toc)\b"
    r"|\b(?:prev|previous) next\b|\bedit (?:this page|page|link|icon)\b|\bmw (?:references|panel)\b|\bside (?:bar|content|box)\b"
    r"|\bwidget area\b|\blemma catalog\b|\blemma (?:reference|statistics)\b"
)
_WHOLE = frozenset(
    "header head hd top foot ft bottom widget widgets pls sign sig side aside tags tabs tab tools toolbar hot rank search".split()
)
# Small things about a text: noise only where they hold a line or two.
_SMALL = re.compile(
    r"\b(?:byline|author|authors|authi|meta|metadata|dateline|timestamp|pubdate|posted|date|time|published|updated"
    r"|tags|labels|keywords|categories|copyright|disclaimer|statement|declare|signature|avatar|userinfo|profile"
    r"|btn|buttons?|actions|controls|toolbar|vote|votes|votecell|rating|stars|likes|views|clipboard|copy|gutter|linenos?"
    r"|reward|donate|price|cart|sku|credit|editor|bianji|source|laiyuan|report|reply|replies|search|permalink|hidden"
    r"|anchorjs|sr only|screen reader text|visually hidden|dt badge|infos?|hash link|comhead|quote link|back top"
    r"|(?:post|article|entry) (?:info|footer|nav|top|copyright)|post buttons|user info|blob num|line numbers?"
    r"|cat links|post menu|crawler post meta|read count|social share|last updated|edit)\b"
)
_COMMENTS = re.compile(
    r"\b(?:comments?|commentlist|commentarea|disqus\w*|respond|pinglun|reviews?|guestbook|livefyre|duoshuo|gitalk|giscus"
    r"|utterances|tie area|discussion timeline)\b"
)


@lru_cache(maxsize=1 << 16)
def meaning(name: str) -> Meaning | None:
    """What a class or an id says its element is: noise, a small thing about the text, comments; None for the rest."""
    if len(name) > 100:
        return None
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[0] in _STATES or words[-1] in _STATED:
        return None
    spaced = " ".join(words)
    if _COMMENTS.search(spaced):
        return "comments"
    if spaced in _WHOLE or _NOISE.search(spaced):
        return "noise"
    return "small" if _SMALL.search(spaced) else None
