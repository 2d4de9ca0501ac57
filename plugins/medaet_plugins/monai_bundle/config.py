"""A bundle's configuration as data: what inference needs of it, and whether any of that is code.

MONAI evaluates every string that begins with "$" as Python and calls whatever `_target_` names. Here only arithmetic on
constants, references and a few names of torch pass for plain; only networks, transforms and inferers of MONAI may be
named. Anything else is code, which an administrator must trust.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medaet.errors import PluginError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SCRIPT = "model.ts"
SCRIPTS = "scripts"
"""The files of a packed bundle."""

NETWORK = ("network_def", "network", "net")
NEEDED = ("preprocessing", "inferer", "postprocessing")
MODULES = (
    "monai.networks.nets.",
    "monai.networks.blocks.",
    "monai.networks.layers.",
    "monai.transforms.",
    "monai.inferers.",
    "monai.apps.vista3d.transforms.",
    "monai.apps.detection.networks.",
    "monai.apps.detection.utils.anchor_utils.",
    "torch.nn.",
)
FILES = ("LoadImage", "SaveImage")
"""Transforms that read and write files, which a volume in memory needs none of."""

CALLS = (
    "device",
    "is_available",
    "to",
    "int",
    "float",
    "len",
    "min",
    "max",
    "round",
    "list",
    "tuple",
)
NAMES = ("torch", "reference", *CALLS)
_REFERENCE = re.compile(r"@([\w.:#]+)")
_NODES = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Attribute, ast.Call, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.UnaryOp, ast.USub, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.IfExp, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.List, ast.Tuple, ast.Dict, ast.Subscript,
    ast.Slice,
)  # fmt: skip


def read_config(folder: Path) -> dict[str, Any]:
    """Read the inference configuration of a bundle.

    Raises:
        PluginError: there is none, or it cannot be read.
    """
    for name in ("inference.json", "inference.yaml", "inference.yml"):
        path = folder / "configs" / name
        if path.is_file():
            content = _parsed(path)
            if not isinstance(content, dict):
                raise PluginError(f"{name} does not hold an object")
            return content
    raise PluginError(f"{folder.name} has no configs/inference.json or inference.yaml")


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    except (OSError, ValueError) as error:
        raise PluginError(f"{path.name} cannot be read: {error}") from error
    except ImportError as error:
        raise PluginError(f"{path.name} needs PyYAML; pip install pyyaml") from error


def network_key(config: Mapping[str, Any]) -> str | None:
    """Return the key of the network's definition."""
    return next((key for key in NETWORK if isinstance(config.get(key), dict)), None)


def needed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what inference needs: the network, the transforms and the inferer, and whatever these refer to.

    Transforms that read and write files are left out.

    Raises:
        PluginError: a part is missing.
    """
    missing = [key for key in ("preprocessing", "inferer") if key not in config]
    if missing:
        raise PluginError(f"the configuration has no {missing[0]!r}, which inference needs")
    kept: dict[str, Any] = {}
    network = network_key(config)
    queue = [*([network] if network else []), *(key for key in NEEDED if key in config)]
    queue += required(config)
    while queue:
        key = queue.pop()
        if key in kept or key not in config or key in ("device", "bundle_root"):
            continue
        kept[key] = _without_files(config[key])
        queue += [name.replace("#", "::").split("::")[0] for name in references(kept[key])]
    return kept


def required(config: Mapping[str, Any]) -> list[str]:
    """Return what the bundle's evaluator has done before it runs, such as the settings of a detector, by key."""
    evaluator = config.get("evaluator")
    named = evaluator.get("_requires_") if isinstance(evaluator, dict) else None
    keys = [name.replace("#", "::").split("::")[0] for name in references(named)]
    return [key for key in keys if key in config]


def references(value: Any) -> Iterator[str]:
    """Yield the id of each reference below a value."""
    for text in _strings(value):
        yield from _REFERENCE.findall(text)


def code_in(config: Mapping[str, Any], target: Any) -> Iterator[str]:
    """Yield what is code in a configuration, in words.

    Args:
        config: What `needed` kept.
        target: Says the full name of a short `_target_`, such as "monai.networks.nets.UNet" for "UNet".
    """
    for text in _strings(config):
        if text.startswith("%"):
            yield f"the macro {text!r}"
        elif text.startswith("$") and not _is_plain(text[1:]):
            yield f"the expression {text!r}"
    for name in _targets(config):
        full = target(name)
        if not full.startswith(MODULES):
            yield f"the component {name!r}"


def loads_channel_first(config: Mapping[str, Any]) -> bool:
    """Whether the transform that reads files also makes the channel axis."""
    return any(
        "LoadImage" in str(one.get("_target_")) and bool(one.get("ensure_channel_first"))
        for one in _tables(config.get("preprocessing"))
    )


def is_sigmoid(config: Mapping[str, Any]) -> bool:
    """Whether channels are thresholded one by one, so that one voxel may belong to several."""
    return any(
        "Activations" in str(one.get("_target_")) and bool(one.get("sigmoid"))
        for one in _tables(config.get("postprocessing"))
    )


def without_joins(config: dict[str, Any]) -> dict[str, Any]:
    """Drop functions that join channels into one map at the end: the channels themselves are wanted."""
    after = config.get("postprocessing")
    if not isinstance(after, dict) or not isinstance(after.get("transforms"), list):
        return config
    kept = [one for one in after["transforms"] if "Lambda" not in str(one.get("_target_"))]
    return {**config, "postprocessing": {**after, "transforms": kept}}


def _without_files(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_files(one) for key, one in value.items()}
    if isinstance(value, list):
        kept = [
            one
            for one in value
            if not (
                isinstance(one, dict)
                and any(name in str(one.get("_target_", "")) for name in FILES)
            )
        ]
        return [_without_files(one) for one in kept]
    return value


def _is_plain(expression: str) -> bool:
    try:
        tree = ast.parse(_REFERENCE.sub("reference", expression).strip(), mode="eval")
    except SyntaxError:
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Name) and node.id not in NAMES:
            return False
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            return False
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called not in CALLS:
                return False
    return True


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _strings(one)


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _tables(one)


def _targets(value: Any) -> Iterator[str]:
    for table in _tables(value):
        if "_target_" in table:
            yield str(table["_target_"])
