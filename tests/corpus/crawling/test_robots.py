import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from corpus.crawling.robots import Robots

TOKEN = "sikubot"


def rules(text, token=TOKEN):
    return Robots.of(200, text.encode(), token)


def test_groups_and_the_product_token():
    text = "User-agent: *\nDisallow: /\n\nUser-agent: X\nUser-agent: sikubot\nDisallow: /a\nAllow: /a/b\nCrawl-delay: 3"
    found = rules(text)
    assert [found.allows(f"http://h.sample{path}") for path in ("/", "/a", "/a/b", "/中")] == [True, False, True, True]
    assert found.delay_s == 3
    other = rules(text, "unknown")
    assert not other.allows("http://h.sample/") and other.delay_s == 0


@pytest.mark.parametrize(
    ("status", "allows", "unreachable"),
    [
        (404, True, False),
        (401, True, False),
        (429, True, False),
        (301, True, False),
        (500, False, True),
        (None, False, True),
    ],
)
def test_absence_is_read_as_rfc_9309_says(status, allows, unreachable):
    found = Robots.absent(status, TOKEN)
    assert (found.allows("http://h.sample/"), found.unreachable, found.delay_s) == (allows, unreachable, 0)


names = st.sampled_from(
    ["*", "SikuBot", "sikubot", "siku*", "Other", "other-bot", "x", "**", "", "sikubot/2", "Siku Bot"]
)
paths = st.sampled_from(["/", "/a", "/a/*b", "/*$", "/b$", "", "http://h.sample/a", "/中"])
lines = st.one_of(
    names.map(lambda name: f"User-agent: {name}"),
    names.map(lambda name: f"useragent:{name} # {name}"),
    names.map(lambda name: f"User-Agent {name}"),
    st.builds(lambda kind, path: f"{kind}: {path}", st.sampled_from(["Allow", "Disallow", "disalow"]), paths),
    st.sampled_from(
        ["Crawl-delay: 2", "Sitemap: http://h.sample/s.xml", "", "# note", "Host: h.sample", "Nonsense: x"]
    ),
)


@given(st.lists(lines, max_size=14).map("\n".join))
def test_folding_other_agents_changes_no_answer(text):
    found, plain = rules(text), Protego.parse(text)
    for path in ("/", "/a", "/a/xb", "/b", "/b/c", "/%E4%B8%AD"):
        assert found.allows(f"http://h.sample{path}") == plain.can_fetch(f"http://h.sample{path}", "sikubot")
    assert found.delay_s == (plain.crawl_delay("sikubot") or 0)


def test_many_agents_over_many_rules_cost_what_they_weigh():
    agents = "".join(f"User-agent: {n}\n" for n in range(12_000))
    text = agents + "".join(f"Allow: /{n}\n" for n in range(12_000)) + "User-agent: *\nDisallow: /x"
    tracemalloc.start()
    found = rules(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * len(text)  # every rule once for each agent is 144 million
    assert found.allows("http://h.sample/1") and not found.allows("http://h.sample/x")


def test_only_the_first_500_kib_count():
    text = "User-agent: *\nDisallow: /a\n" + "#" * 512_000 + "\nDisallow: /b"
    assert not rules(text).allows("http://h.sample/a") and rules(text).allows("http://h.sample/b")


@given(st.binary(max_size=300))
def test_no_robots_file_fails(payload):
    found = Robots.of(200, payload, TOKEN)
    assert found.allows("http://h.sample/a?b=c") in (True, False) and found.delay_s >= 0
