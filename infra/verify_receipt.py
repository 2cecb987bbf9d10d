#!/usr/bin/env python3
"""Checks a StreamGate access receipt offline.

    curl -s https://films.example/v1/receipts/keys > keys.json        # once, and again after rotations
    python3 infra/verify_receipt.py keys.json https://films.example < receipt.txt

Prints what the receipt says, and ends with 0 only if one of the keys signed it and it is of that origin. Needs the package
`cryptography` and nothing of StreamGate.
"""

from __future__ import annotations

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

TYPE = "streamgate-receipt+jwt"
MAX_BYTES = 32 * 1024


class Refused(ValueError):
    """It proves nothing."""


def decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def public_key(keys: dict, name: str) -> ec.EllipticCurvePublicKey:
    for key in keys["keys"]:
        if key["kid"] == name and (key["kty"], key["crv"]) == ("EC", "P-256"):
            x, y = (int.from_bytes(decoded(key[axis]), "big") for axis in "xy")
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raise Refused("it names a key that is not among these; fetch them again")


def verify(keys: dict, origin: str, token: str) -> dict:
    """The receipt's claims, or Refused."""
    if len(token) > MAX_BYTES:
        raise Refused("it is too long")
    try:
        head, body, mark = token.split(".")
        header, signature = json.loads(decoded(head)), decoded(mark)
        claims = json.loads(decoded(body))
    except ValueError as error:
        raise Refused("it is no receipt") from error
    # One algorithm, whatever the header says, and nothing in it that is not understood here.
    if not isinstance(header, dict) or set(header) != {"alg", "typ", "kid"} or (header["alg"], header["typ"]) != ("ES256", TYPE):
        raise Refused("it is no receipt of this kind")
    if len(signature) != 64:
        raise Refused("its signature is not good")
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        public_key(keys, header["kid"]).verify(encode_dss_signature(r, s), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise Refused("its signature is not good") from error
    if not isinstance(claims, dict) or claims.get("iss") != origin:
        raise Refused("it is of another stack")
    return claims


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        keys = json.load(file)
    try:
        claims = verify(keys, sys.argv[2], sys.stdin.read(MAX_BYTES + 1).strip())
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    print(json.dumps(claims, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
