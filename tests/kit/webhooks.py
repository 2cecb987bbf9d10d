"""Deliveries of the chains' webhooks, signed as their providers sign them."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import time

from .client import Client
from .gate import renew

ALCHEMY = "whsec_0123456789abcdef"
QUICKNODE = "qnsec_0123456789abcdef"
HELIUS = "Bearer 0123456789abcdef"
JSON = {"Content-Type": "application/json"}


@contextlib.contextmanager
def configured(stack, chain: str):
    """A stack that has a webhook of each provider for that chain, until the block ends."""
    hooks = {
        "alchemy": [{"chain": chain, "signing_key": ALCHEMY}],
        "quicknode": [{"chain": chain, "security_token": QUICKNODE}],
        "helius": [{"chain": chain, "authorization": HELIUS}],
    }
    manager, secret = stack.client("secretsmanager"), stack.output("WebhooksSecretArn")
    before = manager.get_secret_value(SecretId=secret)["SecretString"]
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps(hooks))
    renew(stack, "WebhookChain")
    try:
        yield
    finally:
        manager.put_secret_value(SecretId=secret, SecretString=before)
        renew(stack, "WebhookChain")


def signature(key: str, *parts: bytes) -> str:
    return hmac.new(key.encode(), b"".join(parts), hashlib.sha256).hexdigest()


def alchemy(sent: bytes) -> dict[str, str]:
    return {"X-Alchemy-Signature": signature(ALCHEMY, sent)}


def deliver(client: Client, sent: bytes) -> None:
    """As Alchemy does, and it is taken."""
    client.get("POST", "/v1/webhooks/chain/alchemy", content=sent, headers=JSON | alchemy(sent))


def quicknode(sent: bytes, at: float) -> dict[str, str]:
    nonce, stamp = "abc", str(int(at))
    return {
        "x-qn-nonce": nonce,
        "x-qn-timestamp": stamp,
        "x-qn-signature": signature(QUICKNODE, nonce.encode(), stamp.encode(), sent),
    }


def transfer(contract: str, token_id: int, sender: str, to: str, block: int) -> bytes:
    """Alchemy's word of an NFT's transfer; each is a delivery of its own."""
    activity = {
        "fromAddress": sender.lower(),
        "toAddress": to.lower(),
        "contractAddress": contract.lower(),
        "erc721TokenId": hex(token_id),
        "blockNum": hex(block),
    }
    return json.dumps({"id": f"whevt_{time.time_ns()}", "event": {"activity": [activity]}}).encode()
