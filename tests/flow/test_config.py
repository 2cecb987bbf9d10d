"""A function whose configuration is not complete does not start, and says which variable is missing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.kit import inside

FUNCTIONS = inside.functions(optional=True)
MISSING = re.compile(r"environment variable ([A-Z_]+): is not set")
NUMBERS = ("_BYTES", "_SECONDS", "_MINUTES", "_DAYS")
# May be empty: then nobody may upload, there are no plug-ins, nothing is made besides H.264 and AAC, and no film is
# converted by MediaConvert, or with a key server.
OPTIONAL = {"CREATORS", "PLUGINS", "RETRY_SECONDS", "EXTRA_CODECS", "CONVERT_QUEUE_URL", "SPEKE_URL", "SPEKE_SYSTEM_IDS"}


def any_value(name: str) -> str:
    """One that the variable can have."""
    return {"LADDER": "fixed"}.get(name) or ("7" if name.endswith(NUMBERS) else "word")


def start(binary: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Starts what was deployed, with these variables and no others."""
    # The SDK looks for a region and credentials elsewhere when they are not given; not here.
    outside = {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}
    try:
        done = subprocess.run([binary], env=outside | environment, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"{binary} went on without its configuration: {late.stdout!r}")
    return done.returncode, done.stdout + done.stderr


def binary(stack, logical_id: str) -> Path:
    path = stack.built.parent / logical_id / "bootstrap"
    assert os.access(path, os.X_OK), path
    return path


@pytest.mark.parametrize("logical_id", list(FUNCTIONS))
def test_each_missing_variable_stops_the_start_and_is_named(stack, logical_id):
    given: dict[str, str] = {}
    for _ in range(30):
        status, output = start(binary(stack, logical_id), given)
        # Without the Runtime API it can't go on even when everything is there.
        assert status != 0, output
        missing = MISSING.search(output)
        if not missing:
            break
        assert missing.group(1) not in given
        given[missing.group(1)] = any_value(missing.group(1))
    # What the function asks for is what the template gives it, no more and no less.
    template = set(FUNCTIONS[logical_id].get("Environment", {}).get("Variables", {}))
    assert set(given) == template - OPTIONAL


@pytest.mark.parametrize(
    ("logical_id", "name", "value"),
    [
        ("AuthNonce", "NONCE_SECONDS", "soon"),
        ("AuthSession", "SESSION_MINUTES", "0"),
        ("PlaybackGrant", "GRANT_MINUTES", "-5"),
        ("PlaybackGrant", "FACT_SECONDS", "-1"),
        ("PlaybackGrant", "RECHECK_MINUTES", "0"),
        ("PlaybackGrant", "PLUGINS", "club"),
        ("ChainVerify", "NEGATIVE_SECONDS", "1.5"),
        ("ChainVerify", "GRACE_SECONDS", "long"),
        ("VideoPolicy", "PLUGINS", "club=one,club=two"),
        ("VideoCreate", "MAX_UPLOAD_BYTES", "1.5"),
        ("VideoCreate", "CREATORS", "0x12,alice"),
        ("OwnershipWatch", "WATCH_SECONDS", "0"),
        ("OwnershipWatch", "LAG_SECONDS", "soon"),
        ("OwnershipWatch", "RUN_SECONDS", "-1"),
        ("WebhookChain", "FACT_SECONDS", "x"),
        ("TranscodePlan", "MAX_DURATION_SECONDS", "1h"),
        ("TranscodePlan", "CHUNK_SECONDS", "soon"),
        ("TranscodePlan", "EXTRA_CODECS", "hevc,mp3"),
        ("TranscodePlan", "LADDER", "rope"),
        ("TranscodeWork", "LEASE_SECONDS", "never"),
        ("TranscodeWork", "RETRY_SECONDS", "soon"),
    ],
)
def test_a_bad_value_stops_the_start_and_is_named(stack, logical_id, name, value):
    good = {
        variable: any_value(variable)
        for variable in FUNCTIONS[logical_id]["Environment"]["Variables"]
        if variable not in OPTIONAL
    }
    status, output = start(binary(stack, logical_id), good | {name: value})
    assert status != 0 and f"environment variable {name}" in output
