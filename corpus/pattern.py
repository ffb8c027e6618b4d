"""Regular expressions that are compiled when they are first used.

A configuration names every edit, measure and source there is, and a plan runs none of them: compiling what they look
for took a tenth of a run that has nothing to do (`python -m tests.benchmarks.run --only demo`, `demo again`).
"""

import re
from typing import cast


class _Lazy:
    def __init__(self, source: str, flags: int) -> None:
        self._given = source, flags

    def __getattr__(self, name: str) -> object:
        """An attribute of the compiled expression, which from then on is this object's own."""
        value = getattr(re.compile(*self._given), name)
        setattr(self, name, value)
        return value


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """As re.compile; an expression that is wrong says so at its first use. Not for functions of `re` to take."""
    return cast("re.Pattern[str]", _Lazy(source, flags))
