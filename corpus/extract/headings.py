"""Headings of sections that lead elsewhere: related pages, comments, subscriptions."""

import re

from corpus.pattern import pattern

_ANYWHERE = (
    r"(?:related|recommended|trending|popular|similar) (?:\w+ ){0,2}(?:articles?|stories|posts?|news|links)",
    r"(?:related|recommended|trending|popular|similar) (?:\w+ ){0,2}(?:products|questions|videos|coverage)",
    r"(?:you may|you might) (?:also )?(?:like|be interested).*|(?:more|recommended) from .*",
    r"most (?:read|popular|viewed|shared)|keep reading|up next|what to read next|advertisement",
    r"(?:\d+ )(?:comments?|responses|replies|reviews|thoughts on.*):?|(?:comments?|reviews?) ?\(\d+\)",
    r"(?:leave|post|add|write) a (?:reply|comment|review)|share (?:this|on)\b.*",
    r"subscribe to .*|follow us\b.*|sign up (?:for|to)\b.*",
    r"(?:相关|相關|推荐|推薦|热门|熱門|延伸|精彩)(?:阅读|閱讀|新闻|新聞|文章|推荐|推薦|报道|報導|专题|專題|产品|產品|商品|视频)",
    r"猜你喜欢|猜你喜歡|大家都在看|(?:你|您)可能.{0,6}|看了又[看买買]|更多(?:精彩|新闻|新聞|文章|相关).{0,4}",
    r"(?:网友|網友|用户|用戶|读者)(?:评论|評論|留言).{0,8}|分享到.*|扫码.*",
    r"(?:发表|發表|我要|添加)(?:评论|評論|回复|回覆|留言).*",
)
# In a manual these may head a chapter: they count behind the text alone.
_BEHIND = (
    r"(?:latest|recent|more|other) (?:articles?|stories|posts?|news|topics|reading|videos)",
    r"(?:read|see) (?:more|next|also)\b.*|comments?|responses|replies|reviews?",
    r"recommended|related|related (?:topics|reading)|tags|newsletter|about the author|written by .*",
    r"(?:热门|最新|全部)?(?:评论|評論|留言|跟帖|跟贴)(?:区|區)?.{0,6}|作者简介|关于作者",
    r"相关话题|相關話題|相关内容|推荐|推薦|(?:最新|更多|其他|其它)(?:文章|新闻|新聞|推荐|推薦)",
)
_LONGEST = 60  # characters
LEADS_ON, LEADS_ON_BEHIND = (pattern("|".join(each), re.IGNORECASE) for each in (_ANYWHERE, _BEHIND))


def heading(text: str | None) -> str:
    """The words of a heading, without what decorates them; nothing where it is too long for these."""
    words = " ".join((text or "")[: 4 * _LONGEST].split()).strip(" :：»›-")
    return words if len(words) <= _LONGEST else ""
