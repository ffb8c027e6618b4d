"""Labelled sentences for tests.benchmarks.safety: 120 a kind and script, half of them traps, drawn with a seed.

What is personal is drawn from the shapes that its makers publish, so that no one's number stands here.
"""

import random
import string
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


def _card(draw: random.Random) -> str:
    """ISO/IEC 7812: a network's first digits, and Luhn's last, reckoned from the right as the standard words it."""
    body = draw.choice(["4", "51", "55", "621700", "6228", "2221"])
    body += _digits(draw, 15 - len(body))
    total = sum(sum(map(int, str(int(d) * (2 - k % 2)))) for k, d in enumerate(reversed(body)))
    number = body + str(-total % 10)
    return draw.choice([number, *(mark.join(number[k : k + 4] for k in range(0, 16, 4)) for mark in " -")])


def _iban(draw: random.Random) -> str:
    """ISO 13616: the check digits make the number, country last, 1 mod 97."""
    country, size = draw.choice([("DE", 18), ("FR", 23), ("NL", 14), ("CH", 17), ("PL", 24)])
    body = _digits(draw, size)
    number = f"{country}{98 - int(body + ''.join(str(ord(c) - 55) for c in country) + '00') % 97:02d}{body}"
    return draw.choice([number, " ".join(number[k : k + 4] for k in range(0, len(number), 4))])


def _ssn(draw: random.Random) -> str:
    return f"{draw.randint(1, 665):03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"


def _company(draw: random.Random) -> str:
    """GB 32100: MOD 31 over weights 3^k."""
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    region = f"{draw.choice([11, 31, 44, 51])}{_digits(draw, 4)}"
    body = draw.choice(["91", "92", "52", "12"]) + region + "".join(draw.choice(signs) for _ in range(9))
    return body + signs[-sum(signs.index(c) * 3**k for k, c in enumerate(body)) % 31]


def _address(draw: random.Random) -> str:
    four = f"{draw.choice([8, 45, 91, 119, 202])}.{draw.randint(1, 254)}.{draw.randint(0, 255)}.{draw.randint(1, 254)}"
    six = f"2606:4700:{draw.randint(4096, 65535):x}::{draw.randint(1, 65535):x}"
    return draw.choice([four, four, six])


def _mac(draw: random.Random) -> str:
    mark = draw.choice(":-")
    return mark.join(f"{draw.randint(0, 255):02{draw.choice('xX')}}" for _ in range(6))


def _key(draw: random.Random) -> str:
    upper, word = string.ascii_uppercase + string.digits, string.ascii_letters + string.digits
    shapes = [("AKIA", 16, upper), ("ghp_", 36, word), ("AIza", 35, word), ("glpat-", 20, word), ("sk-proj-", 48, word)]
    head, size, signs = draw.choice([*shapes, ("LTAI", 20, word), ("npm_", 36, word), ("xoxb-", 40, word)])
    return head + "".join(draw.choice(signs) for _ in range(size))


def _private(draw: random.Random) -> str:
    kind = draw.choice(["", "RSA ", "EC ", "OPENSSH "])
    body = "\n".join("".join(draw.choice(string.ascii_letters) for _ in range(64)) for _ in range(4))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def _plate(draw: random.Random) -> str:
    place, letter = draw.choice("京沪粤苏浙川滬粵蘇"), draw.choice("ABCDEFG")
    return f"{place}{letter}{draw.choice(['', '·'])}{draw.choice(['', 'D'])}{_digits(draw, 5)}"


def _card_of_place(draw: random.Random) -> str:
    """Identity cards of Hong Kong (MOD 11) and Taiwan (MOD 10)."""
    if draw.random() < 0.5:
        letter, digits = draw.choice("ABCDEGHKPRVYZ"), _digits(draw, 6)
        total = 36 * 9 + (ord(letter) - 55) * 8 + sum(int(d) * w for d, w in zip(digits, range(7, 1, -1), strict=True))
        return f"{letter}{digits}({'0123456789A'[-total % 11]})"
    letter, body = draw.choice("ABCDEFGH"), draw.choice("12") + _digits(draw, 7)
    first = ord(letter) - 55
    total = first // 10 + first % 10 * 9 + sum(int(d) * w for d, w in zip(body, range(8, 0, -1), strict=True))
    return f"{letter}{body}{-total % 10}"


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
DRAWN: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "id_number": lambda draw: draw.choice([_id_number, _id_number, _card_of_place])(draw),
    "bank_card": _card,
    "iban": _iban,
    "ssn": _ssn,
    "social_credit": _company,
    "ip_address": _address,
    "mac_address": _mac,
    "api_key": _key,
    "private_key": _private,
    "plate": _plate,
}
# Of a fixed shape only behind the word that names them: what stands in front, and what alone is masked.
NAMED = {
    "account": (
        ["QQ：", "加QQ号", "微信号：", "WeChat ID: ", "QQ: "],
        lambda draw: f"{draw.randint(1, 9)}{_digits(draw, 8)}",
    ),
    "passport": (["护照号", "護照號碼：", "passport no. ", "Passport: "], lambda draw: f"E{_digits(draw, 8)}"),
}


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
        "bank_card": [
            f"4{n(draw, 11)}",
            n(draw, 20),
            f"4111 1111 1111 {draw.choice('23456789')}111",
            f"9{n(draw, 15)}",
        ],
        "iban": [f"DE00{n(draw, 18)}", f"XY{n(draw, 12)}Q", f"GB82 WEST {n(draw, 4)}", f"AB{n(draw, 6)}"],
        "ssn": [
            f"000-12-{n(draw, 4)}",
            f"9{n(draw, 2)}-12-{n(draw, 4)}",
            f"2024-05-{n(draw, 2)}",
            f"123-4567-{n(draw, 2)}",
        ],
        "social_credit": [f"9111{n(draw, 13)}I", f"SN{n(draw, 16)}", f"9199{n(draw, 14)}", n(draw, 17)],
        "ip_address": [
            f"192.168.{n(draw, 1)}.1",
            f"10.0.0.{n(draw, 1)}",
            f"version 8.{n(draw, 1)}.1.2",
            "3.1.11",
            "fe80::1",
        ],
        "mac_address": ["00:00:00:00:00:00", f"12:30:4{n(draw, 1)}", f"0{n(draw, 1)}:1a:2b", "de:ad:be:ef"],
        "api_key": ["sk-learn", f"AKIA{n(draw, 4)}", "npm_config_registry", f"hf_hub_{n(draw, 2)}", "ghp_example"],
        "private_key": [
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "PRIVATE KEY",
            "BEGIN RSA PRIVATE KEY",
        ],
        "plate": [f"京{n(draw, 5)}", f"粤A{n(draw, 2)}", "云A级", "新A股市场", f"豫B{n(draw, 8)}"],
        "account": ["QQ音乐", f"QQ {n(draw, 3)}", "微信支付：请扫码", "WeChat Pay", f"第{n(draw, 9)}号"],
        "passport": ["护照已过期", "passport photo", f"E{n(draw, 8)}", f"护照{n(draw, 3)}页"],
        "id_number": [
            "A123456(4)",
            "A123456788",
            f"11010519491331{n(draw, 3)}X",
            f"9901051949123{n(draw, 4)}1",
            n(draw, 20),
            n(draw, 16),
        ],
    }


def personal() -> Iterator[Labelled]:
    """What is personal, kind by kind, and what looks like it."""
    draw = random.Random(8)
    for language, frames in FRAMES.items():
        for kind in ("phone", *DRAWN, *NAMED):
            for k in range(SENTENCES):
                words, shape = NAMED.get(kind, ([""], DRAWN.get(kind)))
                one = shape(draw) if shape else _phone(draw, language)
                yield Labelled(kind, language, frames[k % len(frames)].format(draw.choice(words) + one), one)
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
