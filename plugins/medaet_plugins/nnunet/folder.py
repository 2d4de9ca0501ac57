"""An nnU-Net's files before they are imported: found, described, and packed without their pickles."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medaet.errors import PluginError
from medaet.plugin.kind import Answers, missing
from medaet.plugin.model import Model, Origin, Output
from medaet.plugin.proposal import propose
from medaet.plugin.selector import SeriesSelector
from medaet_plugins.nnunet.plan import (
    CHECKPOINT,
    DATASET,
    PLANS,
    channels,
    configured,
    labels,
    plain_name,
    plan_of,
    read_json,
)

WEIGHTS = ("checkpoint_final.pth", "checkpoint_best.pth")
REORIENTED = {"NibabelIOWithReorient": "SAR"}
"""Readers that turn images before the network sees them, and the direction of (slice, row, column) then."""


def find_folder(source: Path) -> Path:
    """Return the folder with plans.json below a path, which may lie a few folders deep.

    Raises:
        PluginError: there is none, or there are several.
    """
    if not source.is_dir():
        raise PluginError(f"{source.name} is no folder")
    depths = ("", "*/", "*/*/", "*/*/*/")
    found = [
        path.parent
        for depth in depths
        for path in sorted(source.glob(f"{depth}{PLANS}"))
        if (path.parent / DATASET).is_file() and any(_checkpoints(path.parent))
    ]
    if len(found) > 1:
        names = ", ".join(str(one.relative_to(source)) for one in found)
        raise PluginError(f"{source.name} holds several models; name one of {names}")
    if not found:
        raise PluginError(
            f"{source.name} holds no {PLANS}, {DATASET} and fold_*/{WEIGHTS[0]} together"
        )
    return found[0]


def describe(source: Path, answers: Answers) -> Model:
    """Read the manifest from plans.json and dataset.json.

    Raises:
        PluginError: they cannot be used, or do not say the modality.
    """
    folder = find_folder(source)
    dataset, plans = read_json(folder / DATASET), read_json(folder / PLANS)
    configuration = _configuration(folder, plans)
    plan_of(plans, dataset, {"configuration": configuration})
    names = channels(dataset)
    name = answers.name or plain_name(
        str(dataset.get("name") or plans.get("dataset_name") or folder.parent.name)
    )
    outputs = [_output(label, values, answers) for label, values in labels(dataset).items()]
    reader = str(plans.get("image_reader_writer", ""))
    return Model(
        kind="nnunet",
        name=name,
        version=str(dataset.get("release") or "1"),
        title=f"{str(dataset.get('name') or name).replace('_', ' ')} ({configuration})",
        intended_use=str(dataset.get("description", ""))[:500],
        inputs=_inputs(names, answers),
        outputs=tuple(outputs),
        orientation=answers.orientation
        if answers.orientation is not None
        else REORIENTED.get(reader, ""),
        options={"configuration": configuration},
        origin=Origin(source=str(source), imported_at=datetime.now(UTC), trusted=answers.trust),
    )


def pack(source: Path, folder: Path, model: Model) -> None:
    """Write the folds as safetensors, and what else a checkpoint carries as JSON.

    Raises:
        PluginError: a checkpoint needs trust, or does not fit the plans.
    """
    from safetensors.torch import save_file

    from medaet.compute.checkpoint import read_checkpoint
    from medaet_plugins.nnunet.inference import Predictor
    from medaet_plugins.nnunet.network import canonical

    found = find_folder(source)
    for name in (DATASET, PLANS):
        (folder / name).write_bytes((found / name).read_bytes())
    for path in _checkpoints(found):
        content = read_checkpoint(path, trust=model.origin.trusted)
        _check(content, path, model)
        mirror = content.get("inference_allowed_mirroring_axes")
        facts = {
            "configuration": model.options["configuration"],
            "trainer": str(content.get("trainer_name", "")),
            "mirror": [int(axis) for axis in mirror or ()],
        }
        (folder / CHECKPOINT).write_text(json.dumps(facts), encoding="utf-8")
        save_file(canonical(content["network_weights"]), folder / f"{path.parent.name}.safetensors")
    Predictor(folder, "cpu")  # the weights fit the network, or the import ends here


def _check(content: Any, path: Path, model: Model) -> None:
    place = f"{path.parent.name}/{path.name}"
    if not isinstance(content, dict) or "network_weights" not in content:
        raise PluginError(f"{place} is not a checkpoint of nnU-Net v2")
    arguments = content.get("init_args") or {}
    own = arguments.get("configuration") if isinstance(arguments, dict) else None
    if own and own != model.options["configuration"]:
        raise PluginError(
            f"{place} belongs to the configuration {own}, the folder to "
            f"{model.options['configuration']}"
        )


def _checkpoints(folder: Path) -> Iterator[Path]:
    """Yield the checkpoint of each fold; "fold_all" counts only where there is no other."""
    folds = sorted(folder.glob("fold_[0-9]*")) or sorted(folder.glob("fold_all"))
    for fold in folds:
        paths = [fold / name for name in WEIGHTS if (fold / name).is_file()]
        if paths:
            yield paths[0]


def _configuration(folder: Path, plans: dict[str, Any]) -> str:
    """Read the configuration from the folder's name, Trainer__Plans__configuration, or take the only one."""
    named = folder.name.split("__")
    if len(named) == 3:
        configured(plans, named[2])
        return named[2]
    known = list(plans.get("configurations", {}))
    if len(known) == 1:
        return str(known[0])
    raise PluginError(
        f"{folder.name}: the folder's name does not end in __CONFIGURATION, "
        f"one of {', '.join(known)}; rename it"
    )


def _inputs(names: list[str], answers: Answers) -> dict[str, SeriesSelector]:
    modality = answers.modality or _modality(names)
    roles = [plain_name(name) or f"channel-{i}" for i, name in enumerate(names)]
    if len(set(roles)) < len(roles):
        roles = [f"channel-{i}" for i in range(len(names))]
    return {
        role: SeriesSelector(
            modality=modality, body_part=answers.body_part, min_slices=answers.min_slices
        )
        for role in roles
    }


def _modality(names: list[str]) -> str:
    words = {name.upper().split("_")[0] for name in names}
    if words == {"CT"}:
        return "CT"
    mr = {"MR", "MRI", "T1", "T1W", "T1C", "T1CE", "T1GD", "T2", "T2W", "FLAIR", "ADC", "DWI", "PD"}
    if words <= mr:
        return "MR"
    raise missing(
        f"the modality (the channels are called {', '.join(names)})",
        "--modality CT or --modality MR",
    )


def _output(label: str, values: tuple[int, ...], answers: Answers) -> Output:
    proposal = propose(label)
    return Output(
        label=label.replace("_", " ")[:64],
        values=values,
        code=answers.codes.get(label, proposal.code),
        category=proposal.category,
        modifier=proposal.modifier,
    )
