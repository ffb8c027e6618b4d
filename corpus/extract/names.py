"""What the class and id of an element say about it, word by word.

Names are split at hyphens, underscores and capitals: `stock-list` and `protocol` hold no `toc`. The words are those
that publishing systems use; a name is a hint, and an element that holds most of a page's prose stays whatever it is
called (`corpus/extract/weights.py`).
"""

from functools import lru_cache
from typing import Literal

from corpus.pattern import pattern

Meaning = Literal["noise", "small", "comments"]

_WORDS = pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
# First words that say that something is there, not that this is it: has-sidebar, comments-open, no-nav.
_STATES = pattern("alert|admonition|has|with|without|no|is|not|js|elementor|tag|category|wp|theme|template|format")
_STATED = pattern("open|closed|enabled|disabled|on|off|layout|wrapper|true|false")

_NOISE = pattern(
    r"\b(?:navs?|\w*navbar|navbox|topnav|subnav|navigation|navi|menus?|submenu|megamenu|dropdown|breadcrumbs?|crumbs?"
    r"|sidebar|sidenav|leftbar|rightbar|footer|colophon|masthead|topbar|daohang|mianbao"
    r"|share|shares|sharing|sharebar|sharedaddy|social|sns|bdsharebuttonbox|addthis|addtoany|qrcode|erweima|fenxiang"
    r"|related|relates|relatedposts|recommend\w*|suggested|similar|trending|mostread|upsells?|teasers?|tuijian|xiangguan"
    r"|outbrain|taboola|promos?|promoted|promotion|sponsor\w*|advert\w*|ads?|adsbygoogle|guanggao|banner|dfp"
    r"|cookies?|consent|gdpr|newsletter|subscribe|subscription|signup|signin|login|paywall|popup|modal|lightbox"
    r"|pagination|pager|paging|minitoc|tagcloud|hatnote|noprint|printfooter|catlinks|reflist"
    r"|editsection|headerlink|gutter|linenos?|lineno|blob num|postprofile|colorbox|skiplink|tooltip|carousel|slideshow"
    r")\b"
    r"|\b(?:most|more) (?:read|popular|viewed|from|stories|news|topics)\b|\b(?:read|see) (?:more|also|next)\b"
    r"|\b(?:site|page|global|top) (?:header|head|bar|nav)\b|\bheader (?:nav|bar|wrapper)\b|\bwidget area\b"
    r"|\b(?:guess|you may) (?:you )?(?:also )?like\b|\bhot (?:list|news|rank|articles?)\b"
    r"|\b(?:mod|side|aside) (?:hot|box)\b|\b(?:rank|ranking) (?:list|box)\b|\bskip (?:link|to content|nav)\b"
    r"|\btable of ?contents\b|\bpost (?:nav|navigation|toc)\b|\b(?:prev|previous) next\b"
    r"|\bedit (?:this page|page|link|icon)\b|\bmw (?:references|panel)\b|\bside (?:bar|content|box)\b"
    r"|\blemma (?:catalog|reference|statistics)\b"
)
_WHOLE = pattern(
    "header|head|hd|top|foot|ft|bottom|side|aside|widgets?|pls|sign|tags|tabs?|tools|toolbar|hot|rank|search"
)
# Small things about a text: noise only where they hold a line or two.
_SMALL = pattern(
    r"\b(?:byline|authors?|authi|meta|metadata|dateline|timestamp|pubdate|posted|date|time|published|updated"
    r"|last updated|tags|labels|keywords|categories|copyright|disclaimer|statement|declare"
    r"|signature|avatar|userinfo|profile"
    r"|btn|buttons?|actions|controls|toolbar|vote|votes|votecell|rating|stars|likes|views|clipboard|copy|edit|editor"
    r"|reward|donate|price|cart|sku|credit|bianji|source|laiyuan|report|reply|replies|search|permalink|hidden"
    r"|anchorjs|sr only|screen reader text|visually hidden|info(?! block)(?! box)|hash link|comhead|back top"
    r"|(?:post|article|entry) (?:info|footer|nav|top|copyright)"
    r"|(?:post|user) (?:buttons|menu|info)|crawler post meta"
    r"|cat links|quote link|read count|social share)\b"
)
_COMMENTS = pattern(
    r"\b(?:comments?|commentlist|commentarea|disqus\w*|respond|pinglun|reviews?|guestbook|livefyre|duoshuo|gitalk|giscus"
    r"|utterances|tie area|discussion timeline)\b"
)


@lru_cache(maxsize=1 << 16)
def meaning(name: str) -> Meaning | None:
    """What a class or an id says its element is: noise, a small thing about the text, comments; None for the rest."""
    if len(name) > 100:
        return None
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or _STATES.fullmatch(words[0]) or _STATED.fullmatch(words[-1]):
        return None
    spaced = " ".join(words)
    if _COMMENTS.search(spaced):
        return "comments"
    if _WHOLE.fullmatch(spaced) or _NOISE.search(spaced):
        return "noise"
    return "small" if _SMALL.search(spaced) else None
