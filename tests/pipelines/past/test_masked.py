"""Personal data in URLs and keys of records."""

import re
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.past.masked import masked, masked_column

SHOWN = {
    "http://a.test/u/zhang@example.com/x": "http://a.test/u/<EMAIL>/x",
    "http://a.test/zhang%40example.com?x=1": "http://a.test/<EMAIL>?x=1",
    "http://a.test/?mail=zhang.san%2Bnews%40example.co.uk#me": "http://a.test/?mail=<EMAIL>#me",
    "http://a.test/?tel=13812345678&b=2": "http://a.test/?tel=<PHONE>&b=2",
    "http://a.test/tel13812345678.html": "http://a.test/tel<PHONE>.html",
    "http://a.test/%E5%BC%A0%E4%B8%8913812345678/": "http://a.test/%E5%BC%A0%E4%B8%89<PHONE>/",
    "http://a.test/张三13812345678/": "http://a.test/张三<PHONE>/",
    "http://a.test/id/11010519491231002X.html": "http://a.test/id/<ID>.html",
    "tel:+86%20138%201234%205678": "tel:<PHONE>",
    "mailto:zhang@example.com": "mailto:<EMAIL>",
    "http://a.test/?next=http%3A%2F%2Fb%2F%3Fm%3Dzh%40b.cn": "http://a.test/?next=http%3A%2F%2Fb%2F%3Fm%3D<EMAIL>",
    "jsonl:rows/13812345678": "jsonl:rows/<PHONE>",
    f"http://a.test/?key=ghp_{'a1B2' * 9}": "http://a.test/?key=<KEY>",
    "http://a.test/?from=8.8.8.8": "http://a.test/?from=<IP>",
    "http://a.test/%E4%BA%ACA12D45/": "http://a.test/<PLATE>/",
    "微信：abc_def01": "微信：<ACCOUNT>",
    "moved to http://a.test/u/zhang@example.com, twice": "moved to http://a.test/u/<EMAIL>, twice",
}
LEFT = [
    "http://a.test/news/20240517/index.html",
    "http://a.test/t/1700000000000",
    "http://a.test/@user/post",
    "git@github.com:a/b",
    "http://192.168.100.200:8080/1-2-3/",
    "http://a.test/%FF%40x.cn/%E5",
    "http://a.test/isbn/9787100000000",
    "",
]


@pytest.mark.parametrize("url", SHOWN)
def test_what_is_hidden(url):
    assert masked(url) == SHOWN[url]


@pytest.mark.parametrize("url", LEFT)
def test_what_is_left(url):
    assert masked(url) == url


PIECES = st.sampled_from(
    ["zhang@example.com", "13812345678", "11010519491231002X", "%40", "%", "%E5%BC%A0", "页", *"/?=&a.-1 "]
)


@given(st.lists(PIECES, max_size=9).map("".join))
@example("%E5%BC%A0%40example.com13812345678")
def test_masking_twice_changes_nothing_and_the_rest_stays(url):
    once = masked(url)
    assert masked(once) == once
    kept = re.split(r"<(?:EMAIL|PHONE|ID)>", once)
    at = 0
    for part in kept:  # what is left stands in the URL, in order
        found = url.find(part, at)
        assert found >= 0
        at = found + len(part)


@given(st.text("ab13/.张", max_size=20), st.booleans())
def test_an_address_is_found_however_it_is_written(before, escaped):
    address = "zhang.san@example.com"
    url = f"http://a.test/{quote(before)}/{quote(address, safe='') if escaped else address}"
    assert masked(url).endswith("/<EMAIL>") and "zhang" not in masked(url)


def test_a_column():
    urls = [*SHOWN, *LEFT, None]
    assert masked_column(pa.array(urls)).to_pylist() == [*SHOWN.values(), *LEFT, None]
    assert masked_column(pa.array([], pa.string())).to_pylist() == []
    assert masked_column(pa.array([None, "x"])).to_pylist() == [None, "x"]
