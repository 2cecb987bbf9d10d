"""Policies that are right, and policies that are wrong with the path that the API answers for each.

GOOD and BAD are one table for infra/policy.schema.json (tests/contract/test_policy_schema.py) and for the running API
(the flow tests send each to every route that takes a policy). Where a schema can't see what the API refuses (a wrong
checksum, max below min, a chain that is not configured), the entry says `schema_accepts=True`.

They name the chains and the plug-in that the tests' stack is set up with. Nothing is deployed at their addresses.
"""

from __future__ import annotations

from typing import NamedTuple

EVM = "eip155:1"
OTHER_EVM = "eip155:137"
SOLANA = "solana:5WueacX9EoKpnyA1W2GCEkjN7U4Paaue"
PLUGIN = "example"

CONTRACT = "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D"
PERSON = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
KEY = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv"
NOBODY = "0x" + "0" * 40
SYSTEM = "1" * 32

LARGEST = str(2**256 - 1)
TOO_LARGE = str(2**256)
LEVEL = "levelOf(address,uint256)(uint256)"
MOMENT, LATER = "2026-12-24T18:00:00Z", "2026-12-27T00:00:00Z"

NFTS = {
    "metaplex_collection": "collection",
    "metaplex_creator": "creator",
    "core_collection": "collection",
    "token2022_group": "group",
}


class Bad(NamedTuple):
    """A policy that must be refused, where, and whether the schema lets it pass."""

    policy: object
    path: str
    schema_accepts: bool = False


def policy(rule) -> dict:
    return {"version": 1, "rule": rule}


def leaf(kind: str, defaults: dict, fields: dict) -> dict:
    """None takes a default away."""
    return {"kind": kind} | {name: value for name, value in (defaults | fields).items() if value is not None}


def token(kind: str, **fields) -> dict:
    return leaf(kind, {"chain": EVM, "contract": CONTRACT}, fields)


def erc721(**fields) -> dict:
    return token("erc721", **fields)


def erc1155(**fields) -> dict:
    return token("erc1155", **({"ids": ["7"]} | fields))


def erc20(**fields) -> dict:
    return token("erc20", **({"min": "10.5"} | fields))


def native(**fields) -> dict:
    return leaf("native", {"chain": EVM, "min": "0.1"}, fields)


def unlock(**fields) -> dict:
    return token("unlock", **fields)


def call(function: str = LEVEL, arguments: list | None = None, result=None, **fields) -> dict:
    if function == LEVEL and arguments is None:
        arguments = [":account", "7"]
    return token("contract", function=function, arguments=arguments, result=result or {"at_least": "3"}, **fields)


def spl(**fields) -> dict:
    return leaf("spl", {"chain": SOLANA, "mint": MINT, "min": "1"}, fields)


def nft(kind: str = "metaplex_collection", **fields) -> dict:
    return leaf(kind, {"chain": SOLANA, NFTS[kind]: KEY}, fields)


def accounts(**fields) -> dict:
    return leaf("accounts", {}, fields)


def time(**fields) -> dict:
    return leaf("time", {}, fields)


def plugin(**fields) -> dict:
    return leaf("lambda", {"function": PLUGIN}, fields)


def asset(namespace: str, thing: str = CONTRACT, chain: str = EVM, **fields) -> dict:
    """The fields of a leaf that is spelled by CAIP-19."""
    return {"chain": None, "contract": None, "mint": None, "asset": f"{chain}/{namespace}:{thing}"} | fields


def nested(depth: int) -> dict:
    """A lone condition at that depth."""
    rule = erc721()
    for _ in range(depth - 1):
        rule = {"all": [rule]}
    return rule


def persons(count: int) -> list[str]:
    return [f"{EVM}:0x{number:040x}" for number in range(1, count + 1)]


# Two hundred accounts are within the limit of lists, and of these a policy would be longer than it may.
LONG_LIST = [f"{SOLANA}:{KEY[:-4]}{first}{second}Kv" for first in KEY[:20] for second in KEY[20:30]]

GOOD = [policy(rule) for rule in (
    # ---- erc721
    erc721(),
    erc721(chain=OTHER_EVM),
    erc721(contract=CONTRACT.lower()),
    erc721(min="2"),
    erc721(min=LARGEST),
    erc721(max="3"),
    erc721(min="0", max="0"),
    erc721(min="2", max="2"),
    erc721(ids=["0"]),
    erc721(ids=[LARGEST]),
    erc721(ids=["7", "100-199", "0-" + LARGEST], min="3"),
    erc721(ids=[str(number) for number in range(32)], min="32"),
    erc721(ids=["5-5"], min="1", max="1"),
    erc721(traits=[{"trait": "Background", "value": "Gold"}]),
    erc721(traits=[{"trait": f"Trait {number}", "value": "x" * 200} for number in range(10)], min="2", max="5"),
    erc721(via="delegate.xyz"),
    erc721(ids=["1-64"], traits=[{"trait": "Level", "value": "3"}], via="delegate.xyz", min="2"),
    erc721(**asset("erc721")),
    erc721(**asset("erc721", CONTRACT.lower(), OTHER_EVM), min="2", via="delegate.xyz"),
    erc721(**asset("erc721", f"{CONTRACT}/7")),
    erc721(**asset("erc721"), ids=["7", "8"]),
    # ---- erc1155
    erc1155(),
    erc1155(ids=["1", "2", "5-9"], min="10"),
    erc1155(ids=["1-64"], min="0", max="3"),
    erc1155(ids=["0-" + LARGEST]),
    erc1155(via="delegate.xyz"),
    erc1155(**asset("erc1155", f"{CONTRACT}/{LARGEST}"), ids=None),
    erc1155(**asset("erc1155"), ids=["1"], max="1"),
    # ---- erc20 and native
    erc20(),
    erc20(min="0." + "0" * 76 + "1"),
    erc20(min=LARGEST),
    erc20(min="0", max="0.5"),
    erc20(min="1", max="1", via="delegate.xyz"),
    erc20(**asset("erc20")),
    native(),
    native(chain=OTHER_EVM, min="32", max="1000"),
    native(min="0", max="0"),
    # ---- contract
    call(),
    call("totalSupply()(uint256)", None, {"below": "1000"}),
    call("totalSupply()(uint256)", [], {"above": "0"}),
    call("isMember(address)(bool)", [":account"], {"equals": "true"}),
    call("isMember(address)(bool)", [PERSON], {"not_equals": "false"}),
    call("ownerOf(uint256)(address)", ["7"], {"equals": PERSON.lower()}),
    call("scoreOf(address)(int64)", [":account"], {"at_most": "-5"}),
    call("nameOf(address)(string)", [":account"], {"equals": ""}),
    call("badge(address,bytes4,bytes)(bytes32)", [":account", "0xabcdef01", "0x"], {"equals": "0x" + "ab" * 32}),
    call("$check_1(string,bool,uint8,int8)(bytes)", ["any, text", "false", "255", "-128"], {"not_equals": "0x"}),
    # ---- unlock
    unlock(),
    # ---- Solana
    spl(),
    spl(min="0.000001"),
    spl(**asset("token", MINT, SOLANA)),
    *(nft(kind) for kind in NFTS),
    *(nft(kind, min="64") for kind in NFTS),
    # ---- lists, time, plug-ins
    accounts(allow=[f"{EVM}:{PERSON}"]),
    accounts(deny=[f"eip155:424243:{PERSON.lower()}", f"{SOLANA}:{KEY}"]),
    accounts(allow=persons(200)),
    time(**{"from": MOMENT}),
    time(until="2026-12-27T01:30:00.5+01:30"),
    time(**{"from": MOMENT}, until=LATER),
    plugin(),
    plugin(parameters={}),
    plugin(parameters={"weekdays": ["saturday", "sunday"], "nested": {"deep": [1, None, True]}}),
    # ---- trees
    {"all": [erc721(), erc20(), spl()]},
    {"any": [nft(), accounts(allow=[f"{SOLANA}:{KEY}"])]},
    {"none": [erc721(), erc721(min="5")]},
    {"at_least": 2, "of": [erc721(), native(), time(until=LATER)]},
    {"at_least": 1, "of": [unlock()]},
    {"all": [{"any": [erc721(), {"none": [native()]}]}, {"at_least": 1, "of": [spl(), plugin()]}]},
    {"any": [erc721(min=str(number)) for number in range(1, 21)]},
    nested(4),
)]  # fmt: skip

# What any reader of policies must see, whatever the rule.
GOOD += [
    policy(erc721()) | {"streams": {"per_wallet": 1}},
    policy(erc721()) | {"streams": {"per_wallet": 100, "when_full": "refuse"}},
    policy(erc721(ids=["0-9999"])) | {"streams": {"per_token": 1, "per_wallet": 3, "when_full": "take_over"}},
]

_WHOLES = [
    *(
        Bad(policy(erc721()) | {"streams": streams}, path)
        for streams, path in (
            (None, "streams"),
            ({}, "streams"),
            (1, "streams"),
            ({"when_full": "refuse"}, "streams"),
            ({"per_wallet": 0}, "streams.per_wallet"),
            ({"per_wallet": 101}, "streams.per_wallet"),
            ({"per_wallet": "1"}, "streams.per_wallet"),
            ({"per_wallet": 1.5}, "streams.per_wallet"),
            ({"per_wallet": 1, "when_full": "wait"}, "streams.when_full"),
            ({"per_wallet": 1, "per_film": 1}, "streams.per_film"),
        )
    ),
    Bad(policy(erc721()) | {"streams": {"per_token": 1}}, "streams.per_token", schema_accepts=True),
    Bad([], "policy"),
    Bad("anybody", "policy"),
    Bad({}, "version"),
    Bad({"rule": erc721()}, "version"),
    Bad({"version": 2, "rule": erc721()}, "version"),
    Bad({"version": "1", "rule": erc721()}, "version"),
    Bad({"version": True, "rule": erc721()}, "version"),
    Bad({"version": 1.0, "rule": erc721()}, "version", schema_accepts=True),
    Bad({"version": 1}, "rule"),
    Bad(policy(erc721()) | {"note": "mine"}, "policy.note"),
    Bad(policy(accounts(allow=LONG_LIST)), "policy", schema_accepts=True),
]

# Rules with the path of what is wrong.
_RULES = [
    # ---- trees
    ([], "rule"),
    ("erc721", "rule"),
    ({}, "rule"),
    ({"rule": erc721()}, "rule"),
    ({"kind": 7}, "rule.kind"),
    ({"kind": "erc1159"}, "rule.kind"),
    ({"kind": "ERC721", "chain": EVM, "contract": CONTRACT}, "rule.kind"),
    ({"all": []}, "rule.all"),
    ({"any": {}}, "rule.any"),
    ({"none": erc721()}, "rule.none"),
    ({"all": [erc721()], "any": [erc721()]}, "rule.any"),
    ({"any": [erc721()], "kind": "erc721"}, "rule.kind"),
    ({"none": [erc721()], "min": "1"}, "rule.min"),
    ({"all": [erc721(), "erc721"]}, "rule.all[1]"),
    ({"all": [erc721(), {}]}, "rule.all[1]"),
    ({"any": [erc721(), {"none": [erc721(contract="x")]}]}, "rule.any[1].none[0].contract"),
    ({"at_least": 1}, "rule.of"),
    ({"of": [erc721()]}, "rule.at_least"),
    ({"at_least": 0, "of": [erc721()]}, "rule.at_least"),
    ({"at_least": -1, "of": [erc721()]}, "rule.at_least"),
    ({"at_least": "1", "of": [erc721()]}, "rule.at_least"),
    ({"at_least": 1.5, "of": [erc721()]}, "rule.at_least"),
    ({"at_least": 1, "of": []}, "rule.of"),
    ({"at_least": 1, "of": [erc721()], "kind": "erc721"}, "rule.kind"),
    ({"at_least": 1, "of": [erc721(), erc721(min="00")]}, "rule.of[1].min"),
    ({"any": [erc721()] * 21}, "rule.any[20]"),
    # ---- chains and contracts, the same for all EVM kinds
    (erc721(chain=None), "rule.chain"),
    (erc721(chain=1), "rule.chain"),
    (erc721(chain="1"), "rule.chain"),
    (erc721(chain="eip155:01"), "rule.chain"),
    (erc721(chain="eip155:"), "rule.chain"),
    (erc721(chain="EIP155:1"), "rule.chain"),
    (erc721(chain=SOLANA), "rule.chain"),
    (erc721(contract=None), "rule.contract"),
    (erc721(contract=7), "rule.contract"),
    (erc721(contract=CONTRACT[2:]), "rule.contract"),
    (erc721(contract=CONTRACT[:-1]), "rule.contract"),
    (erc721(contract="0X" + CONTRACT[2:]), "rule.contract"),
    (erc721(contract=CONTRACT[:-1] + "g"), "rule.contract"),
    (erc721(contract=NOBODY), "rule.contract"),
    (erc1155(contract=NOBODY), "rule.contract"),
    (erc20(contract=NOBODY), "rule.contract"),
    (call(contract=NOBODY), "rule.contract"),
    (unlock(contract=NOBODY), "rule.contract"),
    # ---- assets
    (erc721(asset=f"{EVM}/erc721:{CONTRACT}"), "rule.asset"),
    (erc721(**asset("erc721", chain=EVM) | {"chain": EVM}), "rule.asset"),
    (erc721(**asset("erc20")), "rule.asset"),
    (erc721(**asset("erc721", NOBODY)), "rule.asset"),
    (erc721(**asset("erc721", chain="eip155:x")), "rule.asset"),
    (erc721(**asset("erc721", MINT, SOLANA)), "rule.asset"),
    (erc721(**asset("erc721", f"{CONTRACT}/x")), "rule.asset"),
    (erc721(**asset("erc721", f"{CONTRACT}/")), "rule.asset"),
    (erc721(**asset("erc721") | {"asset": CONTRACT}), "rule.asset"),
    (erc721(**asset("erc721") | {"asset": 7}), "rule.asset"),
    (erc721(**asset("erc721", f"{CONTRACT}/7"), ids=["7"]), "rule.ids"),
    (erc1155(**asset("erc1155"), ids=None), "rule.ids"),
    (erc1155(**asset("erc1155", f"{CONTRACT}/7")), "rule.ids"),
    (erc20(**asset("erc20", f"{CONTRACT}/7")), "rule.asset"),
    (spl(**asset("token", f"{MINT}/7", SOLANA)), "rule.asset"),
    (spl(**asset("token", SYSTEM, SOLANA)), "rule.asset"),
    (spl(**asset("token", MINT, EVM)), "rule.asset"),
    (spl(**asset("nft", MINT, SOLANA)), "rule.asset"),
    (spl(asset=f"{SOLANA}/token:{MINT}"), "rule.asset"),
    (native(asset=f"{EVM}/slip44:60"), "rule.asset"),
    (nft(asset=f"{SOLANA}/nft:{MINT}"), "rule.asset"),
    # ---- whole numbers
    (erc721(min=1), "rule.min"),
    (erc721(min=""), "rule.min"),
    (erc721(min="0"), "rule.min"),
    (erc721(min="01"), "rule.min"),
    (erc721(min="-1"), "rule.min"),
    (erc721(min="1.5"), "rule.min"),
    (erc721(min="0x1"), "rule.min"),
    (erc721(min="1" * 79), "rule.min"),
    (erc721(max=3), "rule.max"),
    (erc721(max="0"), "rule.max"),
    (erc1155(min="0"), "rule.min"),
    (erc1155(min=1), "rule.min"),
    (erc1155(max="many"), "rule.max"),
    # ---- ids and traits
    (erc721(ids=[]), "rule.ids"),
    (erc721(ids="7"), "rule.ids"),
    (erc721(ids=[str(number) for number in range(33)]), "rule.ids"),
    (erc721(ids=[7]), "rule.ids[0]"),
    (erc721(ids=["7", "07"]), "rule.ids[1]"),
    (erc721(ids=["7-"]), "rule.ids[0]"),
    (erc721(ids=["1-2-3"]), "rule.ids[0]"),
    (erc1155(ids=None), "rule.ids"),
    (erc1155(ids=[]), "rule.ids"),
    (erc1155(ids=["1", "x"]), "rule.ids[1]"),
    (erc721(traits=[]), "rule.traits"),
    (erc721(traits={"trait": "Hat", "value": "Red"}), "rule.traits"),
    (erc721(traits=[{"trait": "Hat", "value": "Red"}] * 11), "rule.traits"),
    (erc721(traits=["Hat"]), "rule.traits[0]"),
    (erc721(traits=[{"value": "Red"}]), "rule.traits[0].trait"),
    (erc721(traits=[{"trait": "Hat"}]), "rule.traits[0].value"),
    (erc721(traits=[{"trait": "Hat", "value": 3}]), "rule.traits[0].value"),
    (erc721(traits=[{"trait": "", "value": "Red"}]), "rule.traits[0].trait"),
    (erc721(traits=[{"trait": "Hat", "value": "R" * 201}]), "rule.traits[0].value"),
    (erc721(traits=[{"trait": "Hat", "value": "Red", "size": "1"}]), "rule.traits[0].size"),
    (erc1155(traits=[{"trait": "Hat", "value": "Red"}]), "rule.traits"),
    # ---- delegations
    (erc721(via="anybody"), "rule.via"),
    (erc721(via=True), "rule.via"),
    (erc1155(via=""), "rule.via"),
    (erc20(via="Delegate.xyz"), "rule.via"),
    (native(via="delegate.xyz"), "rule.via"),
    (unlock(via="delegate.xyz"), "rule.via"),
    # ---- amounts
    (erc20(min=None), "rule.min"),
    (erc20(min=10), "rule.min"),
    (erc20(min="0"), "rule.min"),
    (erc20(min="0.0"), "rule.min"),
    (erc20(min="1."), "rule.min"),
    (erc20(min=".5"), "rule.min"),
    (erc20(min="1.50"), "rule.min"),
    (erc20(min="1e18"), "rule.min"),
    (erc20(min="1,5"), "rule.min"),
    (erc20(min="0." + "0" * 77 + "1"), "rule.min"),
    (erc20(max="1.0"), "rule.max"),
    (erc20(ids=["1"]), "rule.ids"),
    (native(min=None), "rule.min"),
    (native(min="0"), "rule.min"),
    (native(max="-1"), "rule.max"),
    (native(chain=SOLANA), "rule.chain"),
    (native(chain=None), "rule.chain"),
    (native(contract=CONTRACT), "rule.contract"),
    # ---- contract
    (call(function=""), "rule.function"),
    (call(function="levelOf"), "rule.function"),
    (call(function="levelOf(address)"), "rule.function"),
    (call(function="levelOf(uint)(bool)"), "rule.function"),
    (call(function="levelOf(uint7)(bool)"), "rule.function"),
    (call(function="levelOf(bytes33)(bool)"), "rule.function"),
    (call(function="levelOf(address[])(bool)"), "rule.function"),
    (call(function="levelOf(address)(bool,bool)"), "rule.function"),
    (call(function="levelOf(address,)(bool)"), "rule.function"),
    (call(function="1levelOf()(bool)"), "rule.function"),
    (call(function="f" * 195 + "()(bool)"), "rule.function"),
    (call(arguments="none"), "rule.arguments"),
    (call(arguments=[":account", 7]), "rule.arguments[1]"),
    (call("f(string)(bool)", ["x" * 201], {"equals": "true"}), "rule.arguments[0]"),
    (call(result=[]) | {"result": []}, "rule.result"),
    (call(result="3"), "rule.result"),
    (call() | {"result": {}}, "rule.result"),
    (call(result={"at_least": "3", "at_most": "5"}), "rule.result"),
    (call(result={"more": "3"}), "rule.result.more"),
    (call(result={"at_least": 3}), "rule.result.at_least"),
    (call(result={"at_least": "three"}), "rule.result.at_least"),
    (call("f()(bool)", None, {"at_least": "true"}), "rule.result.at_least"),
    (call("f()(string)", None, {"below": "5"}), "rule.result.below"),
    (call("f()(bytes32)", None, {"above": "5"}), "rule.result.above"),
    (call("f()(string)", None, {"equals": "x" * 201}), "rule.result.equals"),
    (call("f()(bool)", None, {"equals": True}), "rule.result.equals"),
    (call(min="1"), "rule.min"),
    (call(asset=f"{EVM}/erc721:{CONTRACT}"), "rule.asset"),
    # ---- unlock
    (unlock(chain=None), "rule.chain"),
    (unlock(chain=SOLANA), "rule.chain"),
    (unlock(contract=None), "rule.contract"),
    (unlock(min="1"), "rule.min"),
    # ---- Solana
    (spl(chain=None), "rule.chain"),
    (spl(chain=EVM), "rule.chain"),
    (spl(chain="solana:mainnet"), "rule.chain"),
    (spl(chain=SOLANA[:-1] + "0"), "rule.chain"),
    (spl(mint=None), "rule.mint"),
    (spl(mint=SYSTEM), "rule.mint"),
    (spl(mint=MINT[:30]), "rule.mint"),
    (spl(mint=MINT[:-1] + "l"), "rule.mint"),
    (spl(mint=CONTRACT), "rule.mint"),
    (spl(min=None), "rule.min"),
    (spl(min="0"), "rule.min"),
    (spl(min=1), "rule.min"),
    (spl(max="5"), "rule.max"),
    (spl(contract=CONTRACT), "rule.contract"),
    *((nft(kind, **{field: None}), f"rule.{field}") for kind, field in NFTS.items()),
    *((nft(kind, **{field: SYSTEM}), f"rule.{field}") for kind, field in NFTS.items()),
    *((nft(kind, min="65"), "rule.min") for kind in NFTS),
    *((nft(kind, chain=EVM), "rule.chain") for kind in NFTS),
    (nft(min="0"), "rule.min"),
    (nft(min=1), "rule.min"),
    (nft(max="2"), "rule.max"),
    (nft("metaplex_creator", collection=KEY), "rule.collection"),
    (nft("token2022_group", mint=MINT), "rule.mint"),
    # ---- lists
    (accounts(), "rule"),
    (accounts(allow=[f"{EVM}:{PERSON}"], deny=[f"{EVM}:{PERSON}"]), "rule"),
    (accounts(allow=[]), "rule.allow"),
    (accounts(deny=f"{EVM}:{PERSON}"), "rule.deny"),
    (accounts(allow=persons(201)), "rule.allow"),
    (accounts(allow=[PERSON]), "rule.allow[0]"),
    (accounts(allow=[f"{EVM}:{PERSON}", 7]), "rule.allow[1]"),
    (accounts(allow=[f"{EVM}:{NOBODY}"]), "rule.allow[0]"),
    (accounts(deny=[f"{EVM}:{KEY}"]), "rule.deny[0]"),
    (accounts(deny=[f"{SOLANA}:{PERSON}"]), "rule.deny[0]"),
    (accounts(allow=[f"{EVM}:{PERSON}"], chain=EVM), "rule.chain"),
    # ---- time
    (time(), "rule"),
    (time(**{"from": 1798135200}), "rule.from"),
    (time(**{"from": "tomorrow"}), "rule.from"),
    (time(until="2026-12-24"), "rule.until"),
    (time(until="2026-12-24T18:00:00"), "rule.until"),
    (time(until="2026-13-24T18:00:00Z"), "rule.until"),
    (time(**{"from": "1969-12-31T23:59:59Z"}), "rule.from"),
    (time(at=MOMENT), "rule.at"),
    # ---- plug-ins
    (plugin(function=None), "rule.function"),
    (plugin(function=""), "rule.function"),
    (plugin(function="a b"), "rule.function"),
    (plugin(function="arn:aws:lambda:us-east-1:1:function:other"), "rule.function"),
    (plugin(function="x" * 65), "rule.function"),
    (plugin(parameters=[]), "rule.parameters"),
    (plugin(parameters="weekdays"), "rule.parameters"),
    (plugin(chain=EVM), "rule.chain"),
    # ---- fields of nobody's
    (erc721(min_balance="1"), "rule.min_balance"),
    (erc721(token_id="7"), "rule.token_id"),
    (erc721(Contract=CONTRACT), "rule.Contract"),
    (erc20(**{"x" * 60: "1"}), "rule." + "x" * 40),
]

# What the schema can't see.
_HIDDEN = [
    (nested(5), "rule" + ".all[0]" * 4),
    ({"any": [{"all": [erc721()] * 11}, {"all": [erc721()] * 11}]}, "rule.any[1].all[9]"),
    ({"at_least": 3, "of": [erc721(), erc721()]}, "rule.at_least"),
    ({"at_least": 1.0, "of": [erc721()]}, "rule.at_least"),
    (erc721(chain="eip155:5"), "rule.chain"),
    (erc721(chain="eip155:99999999999999999999"), "rule.chain"),
    (erc721(**asset("erc721", chain="eip155:5")), "rule.chain"),
    ({"any": [erc721(), spl(chain="solana:" + "1" * 32)]}, "rule.any[1].chain"),
    (erc721(contract="0x" + CONTRACT[2:].swapcase()), "rule.contract"),
    (erc721(min=TOO_LARGE), "rule.min"),
    (erc721(max=TOO_LARGE), "rule.max"),
    (erc721(min="3", max="2"), "rule.max"),
    (erc721(ids=["7", "7", "8"], min="3"), "rule.min"),
    (erc721(ids=[TOO_LARGE]), "rule.ids[0]"),
    (erc721(ids=["9-3"]), "rule.ids[0]"),
    (erc721(**asset("erc721", f"{CONTRACT}/7"), min="2"), "rule.min"),
    (erc721(**asset("erc721", f"{CONTRACT}/{TOO_LARGE}")), "rule.asset"),
    (erc721(traits=[{"trait": "Hat", "value": "ü" * 101}]), "rule.traits[0].value"),
    (erc1155(ids=["0-64"], max="5"), "rule.max"),
    (erc20(min=TOO_LARGE), "rule.min"),
    (erc20(min="2", max="1.5"), "rule.max"),
    (native(min="10", max="9"), "rule.max"),
    (call(arguments=[":account"]), "rule.arguments"),
    (call("f()(bool)", ["1"], {"equals": "true"}), "rule.arguments"),
    (call("f(address)(bool)", None, {"equals": "true"}), "rule.arguments"),
    (call(arguments=[":account", ":account"]), "rule.arguments[1]"),
    (call(arguments=[":account", "-7"]), "rule.arguments[1]"),
    (call("f(uint8)(bool)", ["256"], {"equals": "true"}), "rule.arguments[0]"),
    (call("f(address)(bool)", [CONTRACT[:-1]], {"equals": "true"}), "rule.arguments[0]"),
    (call("f(bool)(bool)", ["yes"], {"equals": "true"}), "rule.arguments[0]"),
    (call("f()(bool)", None, {"equals": "1"}), "rule.result.equals"),
    (call("f()(uint8)", None, {"at_most": "256"}), "rule.result.at_most"),
    (call("f()(bytes4)", None, {"equals": "0xab"}), "rule.result.equals"),
    (call("f()(address)", None, {"not_equals": "me"}), "rule.result.not_equals"),
    (spl(mint=MINT[:32]), "rule.mint"),
    (accounts(allow=[f"{SOLANA}:{KEY[:32]}"]), "rule.allow[0]"),
    (accounts(deny=[f"{EVM}:0x{PERSON[2:].swapcase()}"]), "rule.deny[0]"),
    (time(**{"from": LATER}, until=MOMENT), "rule.until"),
    (time(**{"from": MOMENT}, until="2026-12-24T19:00:00+01:00"), "rule.until"),
    (time(until="2026-02-30T00:00:00Z"), "rule.until"),
    (plugin(function="nobodys"), "rule.function"),
    (plugin(parameters={"text": "x" * 2048}), "rule.parameters"),
]

BAD = [
    *_WHOLES,
    *(Bad(policy(rule), path) for rule, path in _RULES),
    *(Bad(policy(rule), path, schema_accepts=True) for rule, path in _HIDDEN),
]
