"""A bundle's files before they are imported: found, described, and packed as weights and plain configuration."""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medaet.errors import PluginError
from medaet.plugin.kind import Answers, missing
from medaet.plugin.model import Model, Origin, Output, Task
from medaet.plugin.proposal import propose
from medaet.plugin.selector import SeriesSelector
from medaet_plugins.monai_bundle.config import (
    CONFIG,
    SCRIPT,
    SCRIPTS,
    WEIGHTS,
    code_in,
    is_sigmoid,
    loads_channel_first,
    needed,
    network_key,
    read_config,
    required,
    without_joins,
)

THRESHOLD, MOST = 0.5, 100
"""From which probability a finding counts, and how many boxes: model.toml may say otherwise."""
MODALITIES = {"CT": "CT", "MR": "MR", "MRI": "MR", "MAGNETIC RESONANCE": "MR"}


def find_bundle(source: Path) -> Path:
    """Return the folder with configs/metadata.json below a path.

    Raises:
        PluginError: there is none.
    """
    if source.is_dir():
        for pattern in ("configs/metadata.json", "*/configs/metadata.json"):
            for path in sorted(source.glob(pattern)):
                return path.parent.parent
    raise PluginError(f"{source.name} holds no configs/metadata.json")


def describe(source: Path, answers: Answers) -> Model:
    """Read the manifest from metadata.json and the inference configuration.

    Raises:
        PluginError: they cannot be used, or do not say something.
    """
    folder = find_bundle(source)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    config = needed(read_config(folder))
    try:
        formats = metadata["network_data_format"]
        image, prediction = _only(formats["inputs"]), _only(formats["outputs"])
    except (KeyError, TypeError) as error:
        raise PluginError(
            "metadata.json has no network_data_format with inputs and outputs"
        ) from error
    task = _task(prediction)
    several = is_sigmoid(config)
    options: dict[str, Any] = {"monai_version": str(metadata.get("monai_version", ""))}
    if task == "detection":
        options |= {"threshold": THRESHOLD, "most": MOST}
    if task == "classification":
        options |= {"threshold": THRESHOLD, "exclusive": not several}
    title = str(metadata.get("name") or folder.name)
    return Model(
        kind="monai-bundle",
        name=answers.name or _plain_name(folder.name if folder.name != "." else title),
        version=str(metadata.get("version", "1")),
        title=title[:64],
        intended_use=str(metadata.get("intended_use") or metadata.get("description") or "")[:500],
        inputs=_inputs(image, answers),
        task=task,
        outputs=_outputs(prediction, task, several, answers)
        if task != "detection"
        else _found(prediction, config, answers),
        overlapping=several and task == "segmentation",
        options=options,
        origin=Origin(source=str(source), imported_at=datetime.now(UTC), trusted=answers.trust),
    )


def pack(source: Path, folder: Path, model: Model) -> None:
    """Write the configuration that inference needs, and the weights without a pickle.

    Raises:
        PluginError: the bundle carries code and is not trusted, or cannot be built.
    """
    from medaet_plugins.monai_bundle.inference import Bundle, target

    found = find_bundle(source)
    whole = read_config(found)
    if model.task != "segmentation":
        whole.pop("postprocessing", None)  # boxes and classes become findings here
    config = needed(whole)
    if model.overlapping:
        config = without_joins(config)
    code = list(code_in(config, target))
    if code and not model.origin.trusted:
        raise PluginError(
            f"the bundle carries code: {'; '.join(code[:3])}. It would run with the rights of the worker child; if you "
            "know where the bundle comes from, import it with --trust"
        )
    if code and (found / SCRIPTS).is_dir():
        shutil.copytree(
            found / SCRIPTS, folder / SCRIPTS, ignore=shutil.ignore_patterns("__pycache__")
        )
    facts = {
        "config": config,
        "channel_first": loads_channel_first(whole),
        "required": required(whole),
    }
    (folder / CONFIG).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    _pack_weights(found, folder, whole, model)
    Bundle(folder, "cpu", channels=len(model.inputs))  # the weights fit, or the import ends here


def _pack_weights(found: Path, folder: Path, config: Mapping[str, Any], model: Model) -> None:
    from safetensors.torch import save_file

    from medaet.compute.checkpoint import read_checkpoint

    states = _files(found, config, ".pt", ".pth", ".safetensors")
    if network_key(config) and states:
        if states[0].suffix == ".safetensors":
            shutil.copyfile(states[0], folder / WEIGHTS)
            return
        content = read_checkpoint(states[0], trust=model.origin.trusted)
        for key in ("model", "state_dict", "network", "net"):
            if isinstance(content, dict) and isinstance(content.get(key), dict):
                content = content[key]
        save_file(
            {name: one.detach().contiguous().clone() for name, one in content.items()},
            folder / WEIGHTS,
        )
        return
    scripts = _files(found, config, ".ts")
    if not scripts:
        raise PluginError(
            f"{found.name} has no weights in models/: no .pt with a network_def, and no .ts; "
            "download them first (large_files.yml says from where)"
        )
    shutil.copyfile(scripts[0], folder / SCRIPT)


def _files(found: Path, config: Mapping[str, Any], *suffixes: str) -> list[Path]:
    """Return the files in models/, the one that the configuration names first, then model.*."""
    loader = config.get("checkpointloader")
    named = str(loader.get("load_path", "")) if isinstance(loader, dict) else ""
    paths = [path for path in sorted((found / "models").glob("*")) if path.suffix in suffixes]
    return sorted(paths, key=lambda path: (path.name not in named, path.stem != "model", path.name))


def _only(formats: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first of several: bundles with prompts list these after the image."""
    first: Mapping[str, Any] = next(iter(formats.values()))
    return first


def _inputs(image: Mapping[str, Any], answers: Answers) -> dict[str, SeriesSelector]:
    modality = answers.modality or MODALITIES.get(str(image.get("modality", "")).upper(), "")
    if not modality:
        raise missing(
            f"a modality of ours (metadata.json has {image.get('modality')!r})",
            "--modality CT or MR",
        )
    count = int(image.get("num_channels", 1))
    names = image.get("channel_def") or {}
    roles = [_plain_name(str(names.get(str(i), ""))) for i in range(count)]
    if not all(roles) or len(set(roles)) < count or count == 1:
        roles = ["image"] if count == 1 else [f"image-{i}" for i in range(count)]
    selector = SeriesSelector(
        modality=modality, body_part=answers.body_part, min_slices=answers.min_slices
    )
    return dict.fromkeys(roles, selector)


def _task(prediction: Mapping[str, Any]) -> Task:
    """Tell what sort of output a bundle has.

    Raises:
        PluginError: it is of no sort that can be imported.
    """
    kind, form = (str(prediction.get(key, "")).lower() for key in ("type", "format"))
    if "classif" in form or kind == "probabilities":
        return "classification"
    if kind == "object":
        return "detection"
    if kind == "image" or "segmentation" in form:
        return "segmentation"
    raise PluginError(
        f"the bundle's output is of type {prediction.get('type')!r} and format {prediction.get('format')!r}; "
        "segmentations, classifications and detections can be imported"
    )


def _outputs(
    prediction: Mapping[str, Any], task: Task, several: bool, answers: Answers
) -> tuple[Output, ...]:
    count = int(prediction.get("num_channels", 2))
    first = 0 if several or task == "classification" else 1
    defined = prediction.get("channel_def") or {str(i): f"label {i}" for i in range(first, count)}
    return tuple(
        _output(str(label), int(number), answers)
        for number, label in defined.items()
        if str(label).lower() != "background"
    )


def _found(
    prediction: Mapping[str, Any], config: Mapping[str, Any], answers: Answers
) -> tuple[Output, ...]:
    """Name what a detector finds: bundles seldom do."""
    network = config.get(network_key(config) or "")
    count = int(network.get("num_classes", 1)) if isinstance(network, dict) else 1
    names = ["finding"] if count == 1 else [f"finding {i + 1}" for i in range(count)]
    defined = prediction.get("channel_def") or dict(enumerate(names))
    return tuple(_output(str(label), int(number), answers) for number, label in defined.items())


def _output(label: str, number: int, answers: Answers) -> Output:
    proposal = propose(label)
    return Output(
        label=label.replace("_", " ")[:64],
        values=(number,),
        code=answers.codes.get(label, proposal.code),
        category=proposal.category,
        modifier=proposal.modifier,
    )


def _plain_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63]
