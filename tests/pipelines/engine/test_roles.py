"""Roles: what is spelled is read back, chains within chains included."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import roles

NAMES = st.lists(st.text(string.ascii_letters + "_中文", min_size=1, max_size=8), unique=True, max_size=5)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, NAMES, st.integers(0, 130))
def test_what_is_spelled_is_read_back(measures, keys, parts, verdicts):
    """More than 100 verdicts, names that are prefixes of others, a union as a part of a union."""
    chain = roles.chain("edition", None, [f"judge{number}" for number in range(verdicts)])
    chain |= {roles.measure(name): name for name in measures} | {roles.key(name): name for name in keys}
    assert [chain[role] for role in roles.verdicts(chain)] == [f"judge{number}" for number in range(verdicts)]
    assert {name: chain[role] for name, role in roles.measures(chain).items()} == {name: name for name in measures}
    assert list(roles.keys(chain)) == sorted(keys)
    joined, deeper = {}, {}
    for part in parts:
        joined |= roles.of_part(part, chain)
        deeper |= roles.of_part(part, joined) | roles.of_run(part, chain)
    assert not roles.verdicts(joined) and not roles.measures(joined)
    assert set(roles.parts(joined)) == set(roles.runs(deeper)) == set(parts)
    for own in roles.parts(joined).values():
        assert {role: joined[there] for role, there in own.items()} == chain
    for part, own in roles.parts(deeper).items():
        assert set(roles.parts(own)) == set(parts[: parts.index(part) + 1])


def test_names_that_a_dot_would_part():
    assert [roles.is_name(name) for name in ("near", "相近", "", "a.b", ".")] == [True, True, False, False, False]
    assert roles.chain("e", "s", ["f"]) == {"edition": "e", "sides": "s", "verdict.00": "f"}  # as run.json has them
