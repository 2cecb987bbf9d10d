"""Reads template.yaml, whose short forms (!Ref and its like) plain YAML does not know."""

from pathlib import Path

import yaml

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"


class _Plain(yaml.SafeLoader):
    """!Ref X is "X", !GetAtt A.B is "A.B"."""


class _Named(yaml.SafeLoader):
    """!Ref X is {"Ref": "X"}."""


def _value(loader: yaml.Loader, node: yaml.Node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


_Plain.add_multi_constructor("!", lambda loader, _, node: _value(loader, node))
_Named.add_multi_constructor("!", lambda loader, name, node: {name: _value(loader, node)})


def read(path: Path = TEMPLATE, named: bool = False) -> dict:
    """The template; with `named` a short form keeps its name, else only its value is left."""
    return yaml.load(path.read_text(encoding="utf-8"), _Named if named else _Plain)  # noqa: S506 - both are SafeLoaders
