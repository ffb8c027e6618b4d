"""The rules of a host (RFC 9309): what robots.txt says, or what its absence means."""

import re
from dataclasses import dataclass

from protego import Protego

_BYTES = 512_000  # section 2.5: parsed at least as far
REDIRECTS = 5  # section 2.3.1.2: followed at least as far, to other hosts too
_AGENT = re.compile(r"\s*user(?:-|\s*)agent(?:\s*:|\s(?=[^:]*$))\s*([^#]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Robots:
    """Rules for one crawler. Without a readable robots.txt all is allowed, or nothing is (`unreachable`)."""

    token: str
    rules: Protego | None = None
    unreachable: bool = False

    @classmethod
    def of(cls, status: int, payload: bytes, token: str) -> "Robots":
        """The rules in a decoded answer for a product token, in lower case."""
        if not 200 <= status < 300:
            return cls.absent(status, token)
        text = payload[:_BYTES].decode("utf-8-sig", "replace")
        return cls(token, Protego.parse(_own_groups(text, token)))

    @classmethod
    def absent(cls, status: int | None, token: str) -> "Robots":
        """Where there is no file: 4xx allows all; 5xx or no answer (None) allows nothing (section 2.3.1)."""
        return cls(token, None, status is None or status >= 500)

    def allows(self, url: str) -> bool:
        """Whether a canonical URL may be fetched."""
        if self.rules is None:
            return not self.unreachable
        return bool(self.rules.can_fetch(url, self.token))

    @property
    def sitemaps(self) -> tuple[str, ...]:
        """URLs of sitemaps, as written."""
        return tuple(self.rules.sitemaps) if self.rules else ()

    @property
    def delay_s(self) -> float:
        """Seconds between requests that the host asks for; 0 where it does not, or asks for no finite number."""
        return float((self.rules and self.rules.crawl_delay(self.token)) or 0.0)


def _own_groups(text: str, token: str) -> str:
    """The text with all agents that are not `token` under one name.

    Protego keeps every rule once for each agent of its group: 15,000 agents over 15,000 rules, which fit in
    500 KiB, would take gigabytes.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        agent = _AGENT.match(line)
        name = agent[1].strip().lower() if agent else ""
        if name and name != "*":
            plain = name.replace("*", "")  # as Protego reads it
            lines[number] = f"User-agent: {plain if plain and token.startswith(plain) else '-'}"
    return "\n".join(lines)
