"""DASH manifests against a schema: random ones, those that are served, and broken ones, which must be refused.

schema/mpd.xsd is our own; it says why. STREAMGATE_MPD_SCHEMA names a copy of ISO/IEC 23009-1's DASH-MPD.xsd to ask as well.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import xmlschema
from xmlschema.exceptions import XMLResourceParseError

from tests.kit import contract

OURS = Path(__file__).parent / "schema" / "mpd.xsd"
XLINK = Path(xmlschema.__file__).parent / "schemas" / "XLINK" / "xlink.xsd"
MANIFESTS = 200


@pytest.fixture(scope="module")
def schemas() -> list[xmlschema.XMLSchema]:
    schemas = [xmlschema.XMLSchema11(OURS)]
    if theirs := os.environ.get("STREAMGATE_MPD_SCHEMA"):
        # It imports XLink from the web.
        where = {"http://www.w3.org/1999/xlink": str(XLINK)}
        schemas.append(xmlschema.XMLSchema(theirs, locations=where, use_location_hints=False, allow="local"))
    return schemas


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> list[str]:
    """Of random films of the domain's own strategy: whole and growing, with signed and with relative links."""
    folder = tmp_path_factory.mktemp("manifests")
    command = ["cargo", "test", "--locked", "--quiet", "-p", "domain", "--test", "authoring", "--", "--ignored"]
    settings = {"STREAMGATE_MANIFESTS": str(folder), "PROPTEST_CASES": str(MANIFESTS)}
    subprocess.run([*command, "manifests_for_the_schema"], cwd=contract.REPOSITORY, env=os.environ | settings, check=True)
    return [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())]


def is_valid(schemas: list[xmlschema.XMLSchema], text: str) -> bool:
    # As bytes: the text names its encoding.
    return all(schema.is_valid(text.encode()) for schema in schemas)


@pytest.mark.proof
def test_random_manifests_are_valid(schemas, manifests):
    assert len(manifests) >= MANIFESTS
    for schema in schemas:
        for text in manifests:
            schema.validate(text.encode())
    # Were they all alike, this would say little.
    for part in ('type="static"', 'type="dynamic"', "text/vtt", "$$", "&amp;", 'value="dub"', 'lang="', "1001"):
        found = sum(part in text for text in manifests)
        assert 0 < found, part
    assert any("<AdaptationSet" in text and "audio/mp4" not in text for text in manifests)


def test_the_served_manifest_is_valid(schemas, player, as_holder, video, small_video):
    for film in (video, small_video):
        text = player.get(as_holder.playback(film["id"])["dash"]).raise_for_status().text
        for schema in schemas:
            schema.validate(text.encode())
        assert "Signature=" in text


# What is replaced by what. Each is in every manifest of a whole film with sound.
BROKEN = [
    (' bandwidth="', ' bandwidth="x'),
    (' bandwidth="', ' bandwidth="99999999999'),
    (' bandwidth="', ' rate="'),
    ('type="static" ', ""),
    ('type="static"', 'type="dynamic"'),
    ('mediaPresentationDuration="PT', 'mediaPresentationDuration="-PT'),
    ('mediaPresentationDuration="PT', 'mediaPresentationDuration="'),
    ("minBufferTime=", "buffer="),
    ("urn:mpeg:dash:schema:mpd:2011", "urn:mpeg:dash:schema:mpd:2012"),
    ('contentType="video"', 'contentType="film"'),
    ('contentType="audio"', 'contentType="text"'),
    ('mimeType="audio/mp4"', 'mimeType="audio"'),
    ('value="main"/>', 'value="leading"/>'),
    ('<Role schemeIdUri="urn:mpeg:dash:role:2011" ', "<Role "),
    ("</Period>", "</Period><Title/>"),
    ("<SegmentTimeline>", "<SegmentTimeline><S/>"),
    ('<S t="0" d="', '<S t="-1" d="'),
    ('<S t="0" d="', '<S t="0" e="'),
    ('timescale="', 'timescale="-'),
    ('frameRate="', 'frameRate="0/0'),
    ('codecs="', 'codecs=" '),
    ('width="', 'width="1.'),
    ("$Number%05d$", "$Time"),
    ("<AdaptationSet id=\"1\"", "<AdaptationSet id=\"0\""),
    ("<Representation id=\"audio\"", "<Representation id=\"a udio\""),
    ("</Label>", "</Label><Label>again</Label>"),
    ("</MPD>", ""),
    ("&amp;Signature", "&Signature"),
]  # fmt: skip


@pytest.fixture(scope="module")
def good(manifests) -> str:
    """A whole film with sound and a signature."""
    wanted = ('type="static"', 'id="audio"', "&amp;Signature", 'd="')
    return next(text for text in manifests if all(part in text for part in wanted))


@pytest.mark.parametrize(("part", "other"), BROKEN)
def test_a_broken_manifest_is_refused(schemas, good, part, other):
    assert part in good and is_valid(schemas[:1], good)
    try:
        accepted = is_valid(schemas[:1], good.replace(part, other))
    except XMLResourceParseError:
        accepted = False
    assert not accepted
