"""HTTPS on loopback: certificates are checked, and a page arrives as it does over HTTP."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from corpus.crawling import connect
from tests.corpus.crawling.support import by_url, crawl, details, html, raw_server, what, where


def certificate(folder, name, days=1):
    """A self-signed certificate and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}{days}.pem", folder / f"{name}{days}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return paths


@pytest.fixture
def trusting(monkeypatch):
    """Trust one certificate, as the system's store would."""

    def trust(path):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        connect._tls.cache_clear()

    yield trust
    monkeypatch.undo()
    connect._tls.cache_clear()


@pytest.mark.parametrize(
    ("name", "days", "trusted", "detail"),
    [
        ("help.sample", 1, True, ""),
        ("help.sample", 1, False, "self-signed certificate"),
        ("other.sample", 1, True, "Hostname mismatch"),
        ("help.sample", -1, True, "certificate has expired"),
    ],
)
def test_certificates_are_checked(tmp_path, trusting, name, days, trusted, detail):
    served_by, key = certificate(tmp_path, name, days)
    trusting(served_by if trusted else certificate(tmp_path, "somebody.sample")[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served_by, key)
    plain = {"/": html(), ("plain.sample", "/"): html()}
    with raw_server({"/": html("/a"), "/a": html(text="密")}, context) as server, raw_server(plain) as open_server:
        politeness, addresses = where(server)
        reach = politeness, {**addresses, "plain.sample": open_server.address}
        source = what(seeds=["https://help.sample/", "http://plain.sample/"], retries=0)
        index = crawl(source, reach, tmp_path / "crawl")
    found = by_url(index)
    assert found["http://plain.sample/"] == "fetched"
    if detail:
        assert found["https://help.sample/"] == "robots_unreachable"
        assert found["https://help.sample/robots.txt"] == "bad_certificate"
        assert detail in details(index)["https://help.sample/robots.txt"] and server.asked == []
    else:
        assert (found["https://help.sample/"], found["https://help.sample/a"]) == ("fetched", "fetched")
