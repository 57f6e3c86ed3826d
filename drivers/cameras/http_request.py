"""The request for a camera's pictures, and the answer to one that asks for a password.

Sources: RFC 9110 (requests), RFC 7617 (Basic), RFC 7616 (Digest, MD5 and SHA-256, qop auth or none).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from lab.errors import DeviceError

_FIELD: Final = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|([^\s,]+))")


@dataclass(frozen=True)
class HttpAddress:
    """An http:// URL in its parts."""

    host: str
    port: int
    target: str
    user: str
    password: str


def address_of(url: str) -> HttpAddress:
    """Take an http:// URL apart. Raises DeviceError where it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port = "", 0
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "") if host else ""
    if not host or re.search(r"[\x00-\x20\x7f]", host + target):
        raise DeviceError(f"{without_password(url)} is no URL of a camera; write http://ADDRESS:PORT/PATH")
    return HttpAddress(host, port, target, unquote(parts.username or ""), unquote(parts.password or ""))


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", url)


def request_for(address: HttpAddress, authorisation: str = "") -> bytes:
    """Return the bytes of a GET request."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = [
        f"GET {address.target} HTTP/1.1",
        f"Host: {host}:{address.port}",
        "User-Agent: flex-capture",
        "Accept: multipart/x-mixed-replace, */*",
        "Connection: close",
    ]
    if authorisation:
        lines.append(f"Authorization: {authorisation}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def authorisation_for(challenges: tuple[str, ...], address: HttpAddress, nonce: str | None = None) -> str:
    """Return the Authorization that answers one of ``challenges``, Digest before Basic; "" where none can be.

    ``nonce`` is the client's own random word; only tests give one.
    """
    for challenge in challenges:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "digest":
            fields = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
            answer = _digest(fields, address, nonce or os.urandom(8).hex())
            if answer:
                return answer
    if any(challenge.lower().startswith("basic") for challenge in challenges):
        return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    return ""


def _digest(fields: dict[str, str], address: HttpAddress, own: str) -> str:
    name = fields.get("algorithm", "MD5").upper()
    if name not in {"MD5", "SHA-256"} or "nonce" not in fields:
        return ""

    def hashed(text: str) -> str:
        data = text.encode()
        # MD5 is what the protocol of such cameras asks for; it protects nothing that we store
        return (hashlib.md5(data, usedforsecurity=False) if name == "MD5" else hashlib.sha256(data)).hexdigest()

    realm, nonce = fields.get("realm", ""), fields["nonce"]
    secret = hashed(f"{address.user}:{realm}:{address.password}")
    request = hashed(f"GET:{address.target}")
    said = {"username": address.user, "realm": realm, "nonce": nonce, "uri": address.target}
    if "auth" in [qop.strip() for qop in fields.get("qop", "").split(",")]:
        said["response"] = hashed(f"{secret}:{nonce}:00000001:{own}:auth:{request}")
        tail = f', qop=auth, nc=00000001, cnonce="{own}"'
    else:
        said["response"] = hashed(f"{secret}:{nonce}:{request}")
        tail = ""
    if "opaque" in fields:
        tail += f', opaque="{fields["opaque"]}"'
    if "algorithm" in fields:
        tail += f", algorithm={name}"
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in said.items()) + tail
