"""Requests and answers by the service's own description, which botocore carries: names, types, enums, lengths, ranges."""

from __future__ import annotations

import functools
import re
from typing import Any

import botocore.session
from botocore.model import Shape

from . import Refused

NUMBERS = {"integer": int, "long": int, "double": (int, float), "float": (int, float)}


@functools.cache
def service():
    return botocore.session.get_session().get_service_model("mediaconvert")


def check(operation: str, body: Any) -> None:
    """Refuses a body that the operation's input does not allow."""
    _check(service().operation_model(operation).input_shape, body, "")


def _check(shape: Shape, value: Any, path: str) -> None:
    kind = shape.type_name
    if kind == "structure":
        _of(path, value, dict, "an object")
        members = {_name(name, member): member for name, member in shape.members.items() if _in_body(member)}
        for name in value:
            if name not in members:
                raise Refused("BadRequestException", f"{_join(path, name)}: there is no such setting")
        for name in shape.required_members:
            if _name(name, shape.members[name]) not in value and _in_body(shape.members[name]):
                raise Refused("BadRequestException", f"{_join(path, _name(name, shape.members[name]))} is required")
        for name, inner in value.items():
            _check(members[name], inner, _join(path, name))
    elif kind == "list":
        _of(path, value, list, "a list")
        _within(shape, len(value), path, "its length")
        for index, inner in enumerate(value):
            _check(shape.member, inner, f"{path}[{index}]")
    elif kind == "map":
        _of(path, value, dict, "an object")
        for key, inner in value.items():
            _check(shape.value, inner, _join(path, key))
    elif kind == "string":
        _of(path, value, str, "a string")
        if shape.enum and value not in shape.enum:
            raise Refused("BadRequestException", f"{path}: {value!r} is none of {', '.join(shape.enum)}")
        _within(shape, len(value), path, "its length")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(pattern, value):
            raise Refused("BadRequestException", f"{path}: {value!r} does not match {pattern}")
    elif kind == "boolean":
        _of(path, value, bool, "true or false")
    elif kind in NUMBERS:
        # In Python true is a number; in JSON it is none.
        if isinstance(value, bool):
            raise Refused("BadRequestException", f"{path} must be a number")
        _of(path, value, NUMBERS[kind], "a whole number" if NUMBERS[kind] is int else "a number")
        _within(shape, value, path, "it")
    else:
        raise Refused("BadRequestException", f"{path}: the stand-in does not read {kind}")


def _in_body(shape: Shape) -> bool:
    return "location" not in shape.serialization


def _name(name: str, shape: Shape) -> str:
    return shape.serialization.get("name", name)


def _of(path: str, value: Any, types: Any, words: str) -> None:
    if not isinstance(value, types):
        raise Refused("BadRequestException", f"{path or 'the body'} must be {words}")


def _within(shape: Shape, number: float, path: str, what: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and number < least) or (most is not None and number > most):
        raise Refused("BadRequestException", f"{path}: {what} must be from {least} to {most}, not {number}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
