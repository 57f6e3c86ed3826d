"""Requests, and passwords as the standards' own examples have them."""

from __future__ import annotations

import pytest

from drivers.cameras.http_request import HttpAddress, address_of, authorisation_for, request_for, without_password
from lab.errors import DeviceError


def test_urls_are_taken_apart() -> None:
    assert address_of("http://10.0.0.5/video?x=1") == HttpAddress("10.0.0.5", 80, "/video?x=1", "", "")
    assert address_of("http://me:p%40ss@cam.local:8080") == HttpAddress("cam.local", 8080, "/", "me", "p@ss")
    assert request_for(address_of("http://[::1]:81/a")).startswith(b"GET /a HTTP/1.1\r\nHost: [::1]:81\r\n")


@pytest.mark.parametrize("url", ["http://", "http://x:99999/", "http://a b/", "http://x/\r\nEvil: 1", "http://x:p:1"])
def test_what_is_no_url_is_one_sentence(url: str) -> None:
    with pytest.raises(DeviceError) as caught:
        address_of(url)
    assert len(caught.value.problems) == 1


def test_passwords_are_never_shown() -> None:
    assert without_password("rtsp://me:secret@10.0.0.5/s") == "rtsp://10.0.0.5/s"
    assert "secret" not in without_password("cannot open rtsp://me:secret@10.0.0.5/s")


MUFASA = HttpAddress("www.example.org", 80, "/dir/index.html", "Mufasa", "Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
OWN = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_as_in_rfc_7616(algorithm: str, response: str) -> None:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
        f'opaque="{OPAQUE}"'
    )
    answer = authorisation_for(("Basic realm=x", challenge), MUFASA, OWN)
    assert answer.startswith('Digest username="Mufasa", realm="http-auth@example.org", ')
    assert f'response="{response}"' in answer
    assert f'opaque="{OPAQUE}"' in answer
    assert f"algorithm={algorithm}" in answer
    assert 'nc=00000001, cnonce="' + OWN + '"' in answer


def test_digest_without_qop_as_in_rfc_2069() -> None:
    """The example of RFC 2617's forerunner with its published erratum: 1949323746fe6a43ef61f9606e7febea."""
    address = HttpAddress("x", 80, "/dir/index.html", "Mufasa", "CircleOfLife")
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in authorisation_for((challenge,), address)


def test_basic_as_in_rfc_7617() -> None:
    address = HttpAddress("x", 80, "/", "Aladdin", "open sesame")
    assert authorisation_for(('Basic realm="WallyWorld"',), address) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_what_cannot_be_answered_is_not() -> None:
    for challenge in ("Negotiate", "Digest realm=x, algorithm=SHA-512-256, nonce=y", "Digest realm=x", ""):
        assert authorisation_for((challenge,), MUFASA) == ""
