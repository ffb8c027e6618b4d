"""Names of hosts that the crawl connects to elsewhere than DNS says."""

from typing import Annotated

from pydantic import Field

from corpus.configuration import Doc, FileRef, configuration


@configuration
class Host:
    """A host name that does not resolve by DNS, and the address that serves it."""

    name: Annotated[str, Doc("host name as it stands in URLs")]
    address: Annotated[str, Doc("host:port to connect to; port 0 with `serve`: a free one")] = "127.0.0.1:0"
    delay_s: Annotated[float | None, Field(ge=0), Doc("seconds between requests, instead of site.politeness")] = None
    serve: Annotated[FileRef | None, Doc("site archive to serve there, on loopback, while the crawl runs")] = None
