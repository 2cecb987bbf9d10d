#!/usr/bin/env python3
"""Runs tests/edge/cases.json against a real CloudFront distribution. NOT RUN so far: it needs an AWS account.

The distribution must have the template's behaviours (/v1/* to the API, /v/* to the bucket with a trusted key group that
holds one RSA 2048 and one P-256 key, default to /page) and the bucket these keys: v/film/a.m4s, v/film/b.m4s,
v/other/a.m4s, page/index.html, page/app.js. A third P-256 public key must be known to the account, in no trusted group.

Environment:
  EDGE_ORIGIN                 e.g. https://d111111abcdef8.cloudfront.net
  EDGE_RSA_KEY,       EDGE_RSA_KEY_ID          private key file (PEM) and CloudFront public key id
  EDGE_ECDSA_KEY,     EDGE_ECDSA_KEY_ID
  EDGE_UNTRUSTED_KEY, EDGE_UNTRUSTED_KEY_ID
  EDGE_VIEWER                 this machine's public IPv4 address, as CloudFront sees it

It compares statuses, XML codes and headers. Cases with a `cloudfront.status` are compared with that instead, since the
edge is stricter there on purpose; cases with `cloudfront.skip` are printed and left out. Exit status 1 on a difference.

It also runs against the local edge, which says nothing about CloudFront but checks this script.
"""

import base64
import http.client
import json
import os
import pathlib
import sys
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

CASES = pathlib.Path(__file__).with_name("cases.json")


def setting(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"the environment variable {name} is missing")
    return value


def encode(data):
    text = base64.b64encode(data).decode()
    return text.replace("+", "-").replace("=", "_").replace("/", "~")


class Table:
    def __init__(self):
        self.origin = setting("EDGE_ORIGIN").rstrip("/")
        self.parts = urllib.parse.urlsplit(self.origin)
        self.viewer = setting("EDGE_VIEWER")
        self.ids = {"unknown": "KUNKNOWN"}
        self.keys = {}
        for name in ("rsa", "ecdsa", "untrusted"):
            pem = pathlib.Path(setting(f"EDGE_{name.upper()}_KEY")).read_bytes()
            self.keys[name] = serialization.load_pem_private_key(pem, None)
            self.ids[name] = setting(f"EDGE_{name.upper()}_KEY_ID")
        self.etags = {}

    def fill(self, text, path):
        now = int(time.time())
        other = "http" if self.parts.scheme == "https" else "https"
        values = {
            "origin": self.origin,
            "other_scheme_origin": f"{other}://{self.parts.netloc}",
            "scheme": self.parts.scheme,
            "viewer": self.viewer,
            "later": str(now + 3600),
            "much_later": str(now + 36000),
            "earlier": str(now - 3600),
            "etag": self.etags.get(path, ""),
        }
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
        return text

    def signature(self, key, message, name, raw):
        chosen = hashes.SHA1() if name == "SHA1" else hashes.SHA256()
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(message, padding.PKCS1v15(), chosen)
        made = key.sign(message, ec.ECDSA(chosen))
        if raw:
            r, s = utils.decode_dss_signature(made)
            made = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return made

    def signed(self, sign, url, path):
        """The name and value pairs of one signature, without a cookie's prefix."""
        now = int(time.time())
        key, name = sign.get("key", "rsa"), sign.get("hash", "SHA1")
        until = now + sign.get("less_than", 3600)
        resource = self.fill(sign["resource"], path) if "resource" in sign else url

        def custom(resource):
            condition = {"DateLessThan": {"AWS:EpochTime": until}}
            if "greater_than" in sign:
                condition["DateGreaterThan"] = {"AWS:EpochTime": now + sign["greater_than"]}
            if "ip" in sign:
                condition["IpAddress"] = {"AWS:SourceIp": self.fill(sign["ip"], path)}
            statement = {"Resource": resource, "Condition": condition}
            return json.dumps({"Statement": [statement]}, separators=(",", ":"))

        if sign["policy"] == "canned":
            pairs = [("Expires", str(until))]
            condition = '{"DateLessThan":{"AWS:EpochTime":%d}}' % until
            message = '{"Statement":[{"Resource":"%s","Condition":%s}]}' % (resource, condition)
        else:
            message = self.fill(sign["text"], path) if "text" in sign else custom(resource)
            pairs = [("Policy", encode(message.encode()))]
            if "signed_resource" in sign:
                message = custom(self.fill(sign["signed_resource"], path))
        made = bytearray(self.signature(self.keys[key], message.encode(), name, sign.get("raw_ecdsa")))
        if sign.get("flip"):
            made[-1] ^= 1
        pairs.append(("Signature", encode(bytes(made))))
        pairs.append(("Key-Pair-Id", self.ids[sign.get("key_id", key)]))
        announced = sign["say_hash"] if "say_hash" in sign else ("SHA256" if name == "SHA256" else None)
        if announced:
            pairs.append(("Hash-Algorithm", announced))

        def recode(value):
            match sign.get("encoding"):
                case "standard":
                    return value.replace("-", "%2B").replace("_", "%3D").replace("~", "%2F")
                case "url":
                    return value.rstrip("_").replace("-", "+") + "_-_"
                case "unpadded":
                    return value.rstrip("_")
                case "percent":
                    return value.replace("~", "%7E")
            return value

        pairs = [(n, recode(v) if n in ("Policy", "Signature") else v) for n, v in pairs]
        for changed, value in sign.get("change", {}).items():
            pairs = [(n, v) for n, v in pairs if n != changed]
            if value is not None:
                pairs.append((changed, self.fill(value, path)))
        pairs = [(sign.get("rename", {}).get(n, n), v) for n, v in pairs]
        if "keep" in sign:
            pairs = [(n, v) for n, v in pairs if n in sign["keep"]]
        return pairs + [(n, self.fill(v, path)) for n, v in sign.get("extra", [])]

    def send(self, method, target, headers, body):
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.parts.netloc, timeout=30)
        try:
            # Piece by piece, so that nothing tidies the path up or merges headers.
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body.encode() if body else None)
            answer = connection.getresponse()
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def run(self, case):
        request, expect = case["request"], case["expect"]
        path, own = request["path"], request.get("query")
        url = self.origin + path + (f"?{own}" if own else "")
        signatures = case.get("sign", [])
        signatures = signatures if isinstance(signatures, list) else [signatures]
        if "{etag}" in json.dumps(request) and path not in self.etags:
            query = "&".join(f"{n}={v}" for n, v in self.signed(signatures[0], url, path))
            self.etags[path] = self.send("GET", f"{path}?{query}", [], None)[1].get("etag", "")
        headers = [(n, self.fill(v, path)) for n, v in request.get("headers", {}).items()]
        query = [own] if own else []
        for sign in signatures:
            pairs = self.signed(sign, url, path)
            if sign["kind"] == "cookie":
                prefix = sign.get("cookie_prefix", "CloudFront-")
                headers.append(("Cookie", "; ".join(f"{prefix}{n}={v}" for n, v in pairs)))
            else:
                parts = [f"{n}={v}" for n, v in pairs]
                query = parts + query if sign.get("own_query_last") else query + parts
        target = path + ("?" + "&".join(query) if query else "")
        for _ in range(2 if request.get("repeat") else 1):
            status, got, body = self.send(request.get("method", "GET"), target, headers, request.get("body"))

        special = case.get("cloudfront", {})
        allowed = special.get("status", [expect["status"]])
        faults = [] if status in allowed else [f"status {status}, want {allowed}"]
        if "code" in expect and "status" not in special:
            if f"<Code>{expect['code']}</Code>".encode() not in body:
                faults.append(f"no code {expect['code']} in {body[:200]!r}")
        for name, value in expect.get("headers", {}).items():
            # A real object has another length than the test origin's.
            if name != "content-length" and got.get(name) != value:
                faults.append(f"{name}: {got.get(name)!r}, want {value!r}")
        return faults


def main():
    table, differences = Table(), 0
    for case in json.loads(CASES.read_text())["cases"]:
        if "skip" in case.get("cloudfront", {}):
            print(f"skip  {case['name']}: {case['cloudfront']['skip']}")
            continue
        faults = table.run(case)
        differences += bool(faults)
        print(f"{'DIFF ' if faults else 'ok   '} {case['name']}" + "".join(f"\n      {f}" for f in faults))
    print(f"{differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
