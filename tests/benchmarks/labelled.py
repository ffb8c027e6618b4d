"""Labelled sentences for tests.benchmarks.safety: 120 a kind and script, half of them traps, drawn with a seed.

What is personal is drawn from the shapes that its makers publish, so that no one's number stands here.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SENTENCES = 60  # positives a kind and script, and as many traps


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sentence, and what of it should be masked (or flagged): nothing in a trap."""

    kind: str
    language: str
    text: str
    wanted: str | None


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choice("0123456789") for _ in range(count))


def _mobile(draw: random.Random) -> str:
    a, b, c = f"1{draw.choice('3456789')}{draw.choice('123456789')}", _digits(draw, 4), _digits(draw, 3) + "7"
    return draw.choice([f"{a}{b}{c}", f"{a}-{b}-{c}", f"{a} {b} {c}", f"{a}.{b}.{c}", f"+86 {a}{b}{c}"])


def _abroad(draw: random.Random) -> str:
    area, office = f"{draw.choice('23456789')}{_digits(draw, 2)}", f"{draw.choice('23456789')}{_digits(draw, 2)}"
    line = _digits(draw, 4)
    return draw.choice(
        [
            f"({area}) {office}-{line}",
            f"{area}-{office}-{line}",
            f"+1 {area} {office} {line}",
            f"+44 20 7{line[:3]} {line}",
        ]
    )


def _email(draw: random.Random) -> str:
    name = "".join(draw.choice("abcdefghijklmnop") for _ in range(6))
    domain = draw.choice(["com", "org", "com.cn", "edu.tw", "io"])
    return f"{name}{draw.choice(['', '.li', '_9', '+x'])}@{name[::-1]}.{domain}"


def _id_number(draw: random.Random) -> str:
    """GB 11643: region, date of birth, serial, ISO 7064 MOD 11-2 reckoned as the standard words it."""
    day = f"{draw.randint(1940, 2010)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}"
    body = f"{draw.choice([11, 31, 44, 51, 65])}{draw.randint(1000, 9999)}{day}{draw.randint(100, 999)}"
    check = "10X98765432"[sum(int(d) * (2 ** (17 - k) % 11) for k, d in enumerate(body)) % 11]
    number = body + check
    return draw.choice([number, number, f"{number[:6]} {number[6:14]} {number[14:]}"])


FRAMES = {
    "zh": [
        "请联系{}，谢谢。",
        "负责人：{}，2024年5月前有效",
        "登记表（{}）已收到。",
        "1001,{},男",
        "那就是{}；请勿外传。",
    ],
    "en": [
        "Please contact {} by Friday.",
        "Reach me at {}, thanks.",
        "The form ({}) has arrived.",
        "7,{},2024",
        "See {}.",
    ],
}
DRAWN: dict[str, Callable[[random.Random], str]] = {"email": _email, "id_number": _id_number}


def _phone(draw: random.Random, language: str) -> str:
    return _mobile(draw) if language == "zh" else _abroad(draw)


def _traps(draw: random.Random) -> dict[str, list[str]]:
    n = _digits
    return {
        "email": [
            f"user@{n(draw, 3)}.service",
            f"q@k.transpose({n(draw, 1)})",
            f"image@{n(draw, 1)}x.png",
            f"pkg@{n(draw, 1)}.2.3",
        ],
        "phone": [
            f"订单号1381234{n(draw, 4)}",
            f"{2**34 + (1 << 20) * draw.randint(1, 9)}",
            f"+{n(draw, 2)}.5 13.25",
            f"2024-05-1{n(draw, 1)} 12:30:4{n(draw, 1)}",
            f"v1.{n(draw, 3)}.{n(draw, 4)}",
            f"ISBN 978-7-111-{n(draw, 5)}-0",
        ],
        "id_number": [f"11010519491331{n(draw, 3)}X", f"9901051949123{n(draw, 4)}1", n(draw, 20), n(draw, 16)],
    }


def personal() -> Iterator[Labelled]:
    """E-mail addresses, phones and ID numbers, and what looks like them."""
    draw = random.Random(8)
    for language, frames in FRAMES.items():
        for kind in ("email", "phone", "id_number"):
            for k in range(SENTENCES):
                one = _phone(draw, language) if kind == "phone" else DRAWN[kind](draw)
                yield Labelled(kind, language, frames[k % len(frames)].format(one), one)
                trap = draw.choice(_traps(draw)[kind])
                yield Labelled(kind, language, frames[k % len(frames)].format(trap), None)


ABUSE = {
    "zh": [
        *"操你妈 他妈的 傻逼 王八蛋 婊子 滚你妈 狗日的 骚货 去你妈的 你妈逼 日你妈 贱货 雞巴 操妳媽".split(),
        *("他 妈 的", "王-八-蛋", "傻*逼"),
    ],
    "en": [
        *"fuck fucking asshole bitch cunt motherfucker bullshit whore slut faggot".split(),
        *"f*ck sh1t fuuuck fυck ｆｕｃｋ".split(),
    ],
}
ABUSE_FRAMES = {
    "zh": ["你这个{}，给我出去！", "他骂道：“{}”", "真是{}啊，气死我了", "{}！你说什么？"],
    "en": ["You {}, get out of here!", 'He said "{}" and left.', "what the {} is this", "{}! Come back."],
}
INNOCENT = {
    "zh": (
        "新娘的礼服 爸妈的味道 感情色彩 一次性交付 接口交互 女性爱好者 复杂种类 体操比赛 飞机八点 "
        "水乳交融 幹部會議 妈妈的手 弹性交通 月经周期 乳腺癌 阴道炎 强奸罪 卖淫罪 "
        "玉树后庭花 吹箫引凤 奸臣当道 逼近 干净 乾坤 射精障碍 "
        "色情网站的治理 函数的性能"
    ).split(),
    "en": (
        "class assess Scunthorpe cocktail Dickens Essex analysis Hancock shiitake therapist Penistone basement "
        "assassin cumulative sextant rectum vagina sexuality rapeseed"
    ).split(),
}


def abuse() -> Iterator[Labelled]:
    """Abuse with its evasions, and innocent words that hold an entry or are one in medicine, law and the classics."""
    for language, frames in ABUSE_FRAMES.items():
        for k in range(SENTENCES):
            word, plain = ABUSE[language][k % len(ABUSE[language])], INNOCENT[language][k % len(INNOCENT[language])]
            frame = frames[k % len(frames)]
            yield Labelled("abuse", language, frame.format(word), word)
            yield Labelled("abuse", language, frame.format(plain), None)
