import codecs
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.charset import DecodingError, codec, declared_charset, decode
from corpus.sample.server import load
from tests.corpus.extract.encodings import ENCODINGS, Case, cases, judged, written

HANS = "汉字编码有许多种，网页常常不说自己用的是哪一种。我们在这里说明如何打开文件，并且保存到另一个位置。"
HANT = "漢字編碼有許多種，網頁常常不說自己用的是哪一種。我們在這裡說明如何打開檔案，並且儲存到另一個位置。"
WESTERN = "Un élève naïf répète où l’on va : « déjà vu » – c’est à côté du théâtre, peut-être."
PAGE = "<html><head>{meta}<title>Title</title></head><body><p>{text}</p><pre>x</pre></body></html>"
TEXTS = {"utf-8": HANS, "gb2312": HANS, "gbk": HANT + HANS, "gb18030": HANT + HANS + "镕", "big5": HANT}
LABELS = ("iso-8859-1", "windows-1252", "utf-8", "gb2312", "gbk", "big5", "utf-16", "no-such-charset")


def page(text, label=None):
    return PAGE.format(meta=f'<meta charset="{label}">' if label else "", text=text)


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("label", [None, *LABELS])
def test_a_false_label_does_not_outweigh_the_text(encoding, label):
    text = TEXTS[encoding]
    for header, meta in ((label, None), (None, label), (label, encoding), (encoding, label), (label, label)):
        assert text in decode(page(text, meta).encode(encoding), header).text, (header, meta)


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("where", ["header", "meta"])
def test_one_bad_byte_is_read_in_the_declared_charset(encoding, where):
    """At each byte of the text, lost or changed: never another charset, and never a dead letter for one byte."""
    whole = page(TEXTS[encoding] * 4, encoding if where == "meta" else None).encode(encoding)
    header = encoding if where == "header" else None
    beyond = [at for at, byte in enumerate(whole) if byte >= 0x80]
    for at in beyond[:100]:
        for damaged in (whole[:at] + whole[at + 1 :], whole[:at] + b"\xff" + whole[at + 1 :]):
            found = decode(damaged, header, 0.05)
            assert found.text == damaged.decode(codec(encoding), "replace")


def test_the_only_character_of_a_page_may_be_the_bad_one():
    whole = page("In English, with one mark \u2019 in it.", "utf-8").encode()
    at = whole.index(b"\xe2")
    for damaged in (whole[:at] + whole[at + 1 :], whole[: at + 1] + whole[at + 2 :], whole[: at + 2] + whole[at + 3 :]):
        found = decode(damaged, None, 0.05)
        assert (found.encoding, found.text) == ("utf-8", damaged.decode("utf-8", "replace"))


@pytest.mark.parametrize("label", [None, "utf-8", "gb2312", "gbk", "big5", "iso-8859-1"])
@pytest.mark.parametrize("encoding", ["windows-1252", "iso-8859-1"])
def test_western_pages_under_any_label(encoding, label):
    text = WESTERN if encoding == "windows-1252" else WESTERN.replace("’", "'").replace("–", "-")
    assert text in decode(page(text, label).encode(encoding)).text
    assert text in decode(page(text).encode(encoding), label).text


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("header", [None, "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "utf-8", "gbk"])
@pytest.mark.parametrize("text", [HANS, HANT, "Only English here."])
def test_utf16_without_a_byte_order_mark(name, header, text):
    for meta in (None, "utf-16", "utf-8"):
        found = decode(page(text, meta).encode(name), header)
        assert (found.encoding, found.text) == (name, page(text, meta))


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_utf16_that_falls_out_of_step_is_no_text(where):
    whole = page((HANS + "\u3000一最开 <br>") * 20).encode("utf-16-le")
    at = int(len(whole) * where)
    with pytest.raises(DecodingError, match="out of step"):
        decode(whole[:at] + whole[at + 1 :], "utf-16le")


def test_a_header_alone_makes_nothing_utf16():
    assert decode(page("plain").encode(), "utf-16").text == page("plain")
    assert decode(page("一\u3000最开退" * 100).encode("utf-16-le"), "utf-16").text == page("一\u3000最开退" * 100)


@pytest.mark.parametrize(
    ("bom", "name"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_byte_order_mark_outweighs_header(bom, name):
    assert decode(bom + "中文 text".encode(name), "big5").text == "中文 text"


def test_where_a_text_fits_two_declarations_the_header_comes_first():
    # 0xE3 is a lower-case letter in both.
    assert "ă" in decode(page("ă", "iso-8859-1").encode("cp1250"), "windows-1250").text
    assert "ã" in decode(page("ã", "windows-1250").encode("cp1252"), "iso-8859-1").text
    assert "ă" in decode(page("ă", "windows-1250").encode("cp1250")).text


@pytest.mark.parametrize(
    ("label", "beyond", "superset"),
    [
        ("gb2312", "镕堃喆", "gb18030"),
        ("gbk", "𠀀㐀", "gb18030"),
        ("big5", "啫喱嘅", "big5hkscs"),
        ("shift_jis", "①髙﨑ファイル", "cp932"),
        ("euc-kr", "똠방각하", "cp949"),
        ("iso-8859-1", "“naïve” – €", "cp1252"),
        ("us-ascii", "naïve…", "cp1252"),
        ("iso-8859-9", "“şık”", "cp1254"),
    ],
)
def test_labels_are_read_as_the_supersets_browsers_use(label, beyond, superset):
    """WHATWG Encoding Standard, 4.2: characters that the label itself does not name."""
    assert beyond.encode(superset).decode(label, "replace") != beyond
    found = decode(page(beyond, label).encode(superset), None)
    assert (found.encoding, codec(label)) == (superset, superset)
    assert beyond in found.text


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("windows-1251", "Откройте файл и сохраните его в другом месте."),
        ("koi8-r", "Откройте файл и сохраните его в другом месте."),
        ("iso-8859-2", "Zażółć gęślą jaźń. Otwórz plik i zapisz go."),
        ("windows-1253", "Ανοίξτε το αρχείο και αποθηκεύστε το."),
        ("windows-1256", "افتح الملف واحفظه في مكان آخر"),
        ("tis-620", "เปิดไฟล์และบันทึกไว้ที่อื่น"),
        ("euc-jp", "ファイルを開いて、別の場所に保存します。"),
        ("shift_jis", "ファイルを開いて、別の場所に保存します。"),
        ("euc-kr", "파일을 열어 다른 위치에 저장하십시오."),
        ("iso-2022-jp", "ファイルを開いて、保存します。"),
        ("hz", "打开文件"),
    ],
)
def test_other_scripts_are_read_as_labelled(label, text):
    assert text in decode(page(text).encode(label), label).text
    assert text in decode(page(text, label).encode(label)).text


def test_few_valid_pairs_are_not_utf8_where_another_charset_is_declared():
    payload = "<p>实时</p>".encode("gb2312")
    assert decode(payload, "gb2312").text == "<p>实时</p>"
    assert decode(payload, "utf-8").text == decode(payload).text == "<p>ʵʱ</p>"
    assert decode("<p>é</p>".encode(), "gb2312").text == "<p>é</p>"


@pytest.mark.parametrize("label", [None, "big5", "iso-8859-1", "windows-1252"])
def test_bytes_that_are_no_text_are_refused(label):
    noise = bytes(random.Random(0).choices(range(128, 256), k=6000))
    with pytest.raises(DecodingError, match="no text in any of"):
        decode(b"<p>" + noise, label, 1.0)
    with pytest.raises(DecodingError):
        decode(bytes(random.Random(0).choices(range(256), k=6000)), label)


@pytest.mark.parametrize("label", [None, "utf-8", "iso-8859-1", "big5"])
def test_a_heading_is_enough_where_it_is_common_chinese(label):
    assert "我们" in decode(page("我们的").encode("gbk"), label).text
    assert "我們" in decode(page("我們的").encode("big5"), label if label != "big5" else "gbk").text


@pytest.mark.parametrize("label", [None, "utf-8", "iso-8859-1", "gb2312", "big5"])
@pytest.mark.parametrize("text", [HANS * 5, WESTERN * 9, "เปิดไฟล์และบันทึกไว้ที่อื่น" * 5, "∀x∃y: x≤y ⇒ x∉∅ " * 20])
def test_utf8_with_a_few_bad_bytes_is_utf8_under_any_label(label, text):
    whole = page(text).encode()
    beyond = [at for at, byte in enumerate(whole) if byte >= 0x80]
    for at in beyond[20::40]:
        whole = whole[:at] + b"\xff" + whole[at + 1 :]
    found = decode(whole, label, 0.3)
    assert (found.encoding, found.text) == ("utf-8", whole.decode("utf-8", "replace"))


def doubled(text, through):
    """UTF-8 read as Windows-1252 or Latin-1 and written as UTF-8 again; bytes that cp1252 leaves out are controls."""
    return "".join(bytes([b]).decode(through, "ignore") or chr(b) for b in text.encode()).encode()


@pytest.mark.parametrize("label", [None, "utf-8", "iso-8859-1", "gbk"])
@pytest.mark.parametrize("through", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", [HANS, HANT, WESTERN, "Откройте файл и сохраните его."])
def test_utf8_encoded_twice(text, through, label):
    assert text in decode(doubled(page(text, label), through)).text
    assert text in decode(doubled(page(text), through), label).text


def test_a_page_about_utf8_encoded_twice_stays_as_it_is():
    text = page("“Ã©” stands for é, “â€™” for an apostrophe: naïve readers see it in Paris, à côté.")
    assert decode(text.encode(), "utf-8").text == text


def test_unknown_and_non_text_labels_are_passed_over():
    for label in ("base64", "no-such-charset", "", "utf-8\0", "zlib", "\ud800", "x" * 5000):
        assert decode("中文".encode(), label).text == "中文"


def test_a_few_bad_bytes_are_replaced_and_many_are_refused():
    good = ("中文" * 500).encode()
    found = decode(good[:1500] + b"\xff" + good[1500:], "utf-8")
    assert 0 < found.replaced < 0.01
    assert found.text.count("\ufffd") == 1
    with pytest.raises(DecodingError, match="unreadable in utf-8"):
        decode(good[:1500] + b"\xff" * 30 + good[1500:], "utf-8")


def test_declaration_beyond_scripts_and_in_xml():
    assert declared_charset(b"<script>" + b" " * 1500 + b'</script><meta charset="gbk">') == "gbk"
    assert declared_charset(b'<meta http-equiv="Content-Type" content="text/html; charset=GB2312">') == "GB2312"
    assert declared_charset(b'<?xml version="1.0" encoding="Big5"?><html>') == "Big5"
    assert declared_charset(b"<html>") is None


def test_pages_of_the_sample_in_every_encoding_and_under_every_label():
    """`python -m tests.corpus.extract.encodings --pages DIR` does the same at length."""
    pages = {name: entry for name, entry in load().items() if name.endswith(".html")}
    chosen = random.Random(7).sample(sorted(pages), 24)
    wrong, right = [], 0
    for encoding in ENCODINGS:
        for case in cases(encoding):
            for name in chosen:
                payload = written(pages[name].decode(), case, random.Random(name))
                if payload is None or _thin(payload, case):
                    continue
                outcome = judged(payload, case)
                right += outcome == "right"
                if outcome == "wrong" or (outcome == "dead" and case.damage == "none"):
                    wrong.append((name, case, outcome))
    assert wrong == [] and right > 1000


def _thin(payload: bytes, case: Case) -> bool:
    """Hardly anything on the page tells its charset."""
    return not case.encoding.startswith("utf-16") and len(re.findall(rb"[\x80-\xff]", payload)) < 40


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "gbk", "big5", "utf-16", "hz", "idna", "punycode"]))
def test_any_bytes_decode_or_say_why(payload, label):
    try:
        found = decode(payload, label, 1.0)
    except DecodingError:
        return
    assert 0.0 <= found.replaced <= 1.0
