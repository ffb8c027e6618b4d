import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.edit import apply_spans
from corpus.pii import Mask, personal_data
from tests.kernels.texts import texts

MASKED = [
    ("联系电话13812345678。", "联系电话<PHONE>。"),
    ("请拨打+8613812345678或0086 138-1234-5678，谢谢", "请拨打<PHONE>或<PHONE>，谢谢"),
    ("手机：１３８１２３４５６７８，", "手机：<PHONE>，"),
    ("电话：010-62345678转801", "电话：<PHONE>"),
    ("座机(0755)26543210、（０２１）６２３４５６７８", "座机<PHONE>、<PHONE>"),
    ("热线0571-8765432和400-820-8820", "热线<PHONE>和<PHONE>"),
    ("Tel:+86-10-62345678 / 01062345678", "Tel:<PHONE> / <PHONE>"),
    ("Call (415) 555-2671 or 415-555-2671 x123.", "Call <PHONE> or <PHONE>."),
    ("Call 1-800-555-0199, +1 415 555 2671, 415.555.2671", "Call <PHONE>, <PHONE>, <PHONE>"),
    (
        "London +44 20 7946 0958; Paris +33 1 42 68 53 00; Berlin +49 (30) 901820",
        "London <PHONE>; Paris <PHONE>; Berlin <PHONE>",
    ),
    ("邮箱zhang.san@example.com.cn，电话", "邮箱<EMAIL>，电话"),
    ("mail a_b+c@mail-1.example.org. Or ＡＢ＠example．com", "mail <EMAIL>. Or <EMAIL>"),
    ("QQ邮箱13812345678@qq.com", "QQ邮箱<EMAIL>"),
    ("<a@b.io>; x@y.museum", "<<EMAIL>>; <EMAIL>"),
    ("身份证11010519491231002X号", "身份证<ID>号"),
    ("身份证号码：１１０１０５１９４９１２３１００２ｘ。", "身份证号码：<ID>。"),
    ("旧身份证号110105491231002", "旧身份证号<ID>"),
]
KEPT = [
    "2023-01-01 12:30:45, 20230101123456, 2023/01/01, 1998-2004",
    "version 2.0.0.12345678, 1.3.8-20230101, v10.0.19041.1234",
    "IP 192.168.100.200:8080 and 10.0.0.1, 255.255.255.0, 2001:db8::1",
    "ISBN 978-7-111-40701-0, ISBN 7-111-40701-0, ISBN: 978 711 1407 0100, ISBN-13: 400-123-4567",
    "110105194912310021 has a wrong check character, 990105194912310020 no province",
    "order 110105491231002 without saying what it is",
    "11010519491331002X no such month",
    "UUID 550e8400-e29b-41d4-a716-446655440000, hash 13812345678abcdef, abc13812345678",
    "1381234567 and 138123456789 and 12812345678, 3.13812345678, 13812345678.5",
    "C++11 1+1=2 +5 +12 a@b @user user@ a@b.c x@1.2 @@example.com @某人",
    "1,000,000,000 10000000000 3,141,592,653 100 200 300 400",
    "单元格 A1:B100，第 1234567 页，共 12345678 字，价格 400-500 元",
    "http://example.com/138123456789/415",
    "",
]


def mask(text):
    array = pa.array([text], pa.large_string())
    return apply_spans(array, Mask().spans(array))[0].as_py()


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_masked(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize("text", KEPT)
def test_kept(text):
    assert mask(text) == text


def test_reasons_and_kinds():
    text = pa.array(["", "a@b.cn电话13812345678", "中11010519491231002X"], pa.large_string())
    spans = Mask().spans(text)
    assert spans["row"].to_pylist() == [1, 1, 2]
    assert spans["reason"].to_pylist() == ["email", "phone", "id_number"]
    assert Mask(kinds=("phone",)).spans(text)["reason"].to_pylist() == ["phone"]


data = st.lists(
    st.one_of(texts, st.sampled_from([t for t, _ in MASKED]), st.text("0123456789-+() .@aX", max_size=40)), max_size=5
)


@given(data.map("".join))
def test_what_is_masked_stays_masked(text):
    once = mask(text)
    found = personal_data(text)
    assert all(a < b for a, b, _ in found)
    assert all(found[k][1] <= found[k + 1][0] for k in range(len(found) - 1))
    assert len(once.encode()) >= 0
    assert mask(once).count("<") >= once.count("<")


@pytest.mark.parametrize(
    "text",
    [
        "1" * 1_000_000,
        "a" * 1_000_000 + "@",
        "a@" * 300_000,
        "x@a." + "a." * 300_000,
        "+1 " * 300_000,
        "1-" * 400_000,
        "(0" * 300_000,
    ],
)
def test_hostile_text_is_not_slow(text):
    personal_data(text)
