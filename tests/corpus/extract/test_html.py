from corpus.html import looks_like_html


def test_looks_like_html():
    assert looks_like_html(b"\n<!DOCTYPE html><p>")
    assert looks_like_html("中文<div>".encode())
    assert looks_like_html("<!DOCTYPE html><p>中文".encode("utf-16-le"))
    assert not looks_like_html(b"%PDF-1.4 <<")
    assert not looks_like_html(b"")
