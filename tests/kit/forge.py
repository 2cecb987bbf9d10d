"""Makes what the stack makes for its edge: with a key of the stack's, at times and for places that it never would, or
with a stranger's."""

from __future__ import annotations

import base64
import hmac
import json
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def signature(key: dict, resource: str, less_than: int, greater_than: int | None = None) -> dict[str, str]:
    """CloudFront's parameters of a custom policy; `key` is as it lies in the stack's secret."""
    condition = {"DateLessThan": {"AWS:EpochTime": less_than}}
    if greater_than is not None:
        condition["DateGreaterThan"] = {"AWS:EpochTime": greater_than}
    policy = json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}).encode()
    pair = serialization.load_pem_private_key(key["private_key"].encode(), None)
    return {
        "Policy": coded(policy),
        "Signature": coded(pair.sign(policy, ec.ECDSA(hashes.SHA256()))),
        "Key-Pair-Id": key["name"],
        "Hash-Algorithm": "SHA256",
    }


def coded(data: bytes) -> str:
    """CloudFront's own base64."""
    return base64.b64encode(data).decode().translate(str.maketrans("+=/", "-_~"))


def as_cookies(signature: dict[str, str]) -> dict[str, str]:
    return {f"CloudFront-{name}": value for name, value in signature.items()}


def strangers_pair(key: dict) -> dict:
    """Another key that says it is this one."""
    plain = serialization.NoEncryption()
    pair = ec.generate_private_key(ec.SECP256R1())
    text = pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return key | {"private_key": text.decode()}


def strangers_secret(key: dict) -> dict:
    return key | {"key": os.urandom(32).hex()}


def path_token(key: dict, grant: str, video: str, not_before: int, expires_at: int) -> str:
    """The path's first element without its tilde, as shared/domain/src/edge_token.rs tells it."""
    payload = _cbor({2: video, 4: expires_at, 5: not_before, 7: bytes.fromhex(grant)})
    protected = _cbor({1: 5, 4: key["id"].encode()})
    mac = hmac.new(bytes.fromhex(key["key"]), _cbor(["MAC0", protected, b"", payload]), "sha256").digest()
    token = b"\xd1" + _cbor([protected, {}, payload, mac])
    return f"{grant}.{base64.urlsafe_b64encode(token).decode().rstrip('=')}"


def _cbor(value) -> bytes:
    """RFC 8949, as far as a token needs it."""
    match value:
        case int():
            return _head(0, value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value)) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(_cbor, value))
        case dict():
            return _head(5, len(value)) + b"".join(_cbor(name) + _cbor(each) for name, each in value.items())
    raise TypeError(value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in (0, 1, 2, 3) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")
