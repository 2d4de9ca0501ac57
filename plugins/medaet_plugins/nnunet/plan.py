"""What an nnU-Net trained-model folder says: plans.json, dataset.json and what its checkpoints carry besides weights.

Source:
    F. Isensee et al., nnU-Net, Nature Methods 18 (2021) 203; the files of nnunetv2 2.x, and those of its first
    releases, which describe the network in other words.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medaet.errors import PluginError

CHECKPOINT = "checkpoint.json"
DATASET = "dataset.json"
PLANS = "plans.json"
RESAMPLING = "resample_data_or_seg_to_shape"
NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
SCHEMES = (
    "CTNormalization",
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How one channel is scaled.

    Attributes:
        scheme: One of `SCHEMES`.
        masked: Whether only voxels inside the non-zero region count.
        properties: Mean, standard deviation and percentiles of the training set's foreground.
    """

    scheme: str
    masked: bool
    properties: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Resampling:
    """How arrays go to another grid.

    Attributes:
        order: Of the spline: 0 nearest, 1 linear, 3 cubic.
        order_z: The same across slices that lie far apart.
        separate: Whether the sparse axis is treated apart; None when its spacing decides.
    """

    order: int
    order_z: int
    separate: bool | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that inference needs to know.

    Attributes:
        spacing_mm: Of the network's grid; (row, column) only for a 2D configuration.
        patch: Voxels of one window, (1, row, column) for a 2D configuration.
        transpose: The array axis, of (slice, row, column), that becomes each axis of the network.
        heads: Output channels.
        order: Label written by each channel, the later over the earlier; empty when classes exclude each other.
        mirror: Axes of the network that test-time mirroring may flip.
    """

    spacing_mm: tuple[float, ...]
    patch: tuple[int, int, int]
    transpose: tuple[int, int, int]
    normalisations: tuple[Normalisation, ...]
    data: Resampling
    logits: Resampling
    network: str
    arguments: Mapping[str, Any]
    heads: int
    order: tuple[int, ...]
    mirror: tuple[int, ...]


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file.

    Raises:
        PluginError: it cannot be read, or is no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise PluginError(f"{path.name} does not hold an object")
    return content


def labels(dataset: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the values of the label map that mean each structure, background and ignored voxels left out."""
    found = {}
    for name, value in dataset["labels"].items():
        values = tuple(int(one) for one in value) if isinstance(value, list) else (int(value),)
        if name != "ignore" and set(values) != {0}:
            found[str(name)] = values
    return found


def configured(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits.

    Raises:
        PluginError: there is no such configuration, or it needs the output of another.
    """
    configurations = plans["configurations"]
    if name not in configurations:
        known = ", ".join(sorted(configurations))
        raise PluginError(f"{PLANS} has no configuration {name!r}; there are {known}")
    own = configurations[name]
    parent = own.get("inherits_from")
    whole = {**(configured(plans, parent) if parent else {}), **own}
    if whole.get("previous_stage"):
        raise PluginError(
            f"the configuration {name} is a cascade: it needs the output of "
            f"{whole['previous_stage']}; import the folder of another configuration"
        )
    return whole


def read_plan(folder: Path) -> Plan:
    """Read a packed model folder.

    Raises:
        PluginError: it asks for something that this plugin does not do; the message says what.
    """
    checkpoint = read_json(folder / CHECKPOINT)
    return plan_of(read_json(folder / PLANS), read_json(folder / DATASET), checkpoint)


def plan_of(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], checkpoint: Mapping[str, Any]
) -> Plan:
    """Combine the three.

    Raises:
        PluginError: something is missing, or is not supported.
    """
    try:
        own = configured(plans, checkpoint["configuration"])
        network, arguments = _architecture(own)
        regions = [name for name, value in dataset["labels"].items() if isinstance(value, list)]
        overlapping = any(len(dataset["labels"][name]) > 1 for name in regions)
        structures = labels(dataset)
        patch = tuple(int(one) for one in own["patch_size"])
        return Plan(
            spacing_mm=tuple(float(one) for one in own["spacing"]),
            patch=_three(patch if len(patch) == 3 else (1, *patch)),
            transpose=_three(plans["transpose_forward"]),
            normalisations=_normalisations(plans, own, len(_channels(dataset))),
            data=_resampling(own, "data"),
            logits=_resampling(own, "probabilities"),
            network=network,
            arguments=arguments,
            heads=len(structures)
            if overlapping
            else 1 + max(one for values in structures.values() for one in values),
            order=tuple(int(one) for one in dataset["regions_class_order"]) if overlapping else (),
            mirror=tuple(int(one) for one in checkpoint.get("mirror") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PluginError(f"{PLANS} or {DATASET} lacks or garbles {error}") from error


def _channels(dataset: Mapping[str, Any]) -> list[str]:
    names = dataset.get("channel_names") or dataset["modality"]
    return [str(names[key]) for key in sorted(names, key=int)]


channels = _channels


def _three(values: Sequence[Any]) -> tuple[int, int, int]:
    first, second, third = values
    return int(first), int(second), int(third)


def _normalisations(
    plans: Mapping[str, Any], own: Mapping[str, Any], count: int
) -> tuple[Normalisation, ...]:
    schemes = own["normalization_schemes"]
    unknown = [one for one in schemes if one not in SCHEMES]
    if unknown:
        raise PluginError(f"the normalisation {unknown[0]} is not one of {', '.join(SCHEMES)}")
    properties = plans.get("foreground_intensity_properties_per_channel") or {}
    masked = own["use_mask_for_norm"]
    return tuple(
        Normalisation(schemes[i], bool(masked[i]), properties.get(str(i), {})) for i in range(count)
    )


def _resampling(own: Mapping[str, Any], what: str) -> Resampling:
    function = own.get(f"resampling_fn_{what}", RESAMPLING)
    if function != RESAMPLING:
        raise PluginError(f"the resampling function {function} is not supported, only {RESAMPLING}")
    chosen = own.get(f"resampling_fn_{what}_kwargs", {})
    default = 3 if what == "data" else 1
    return Resampling(
        int(chosen.get("order", default)),
        int(chosen.get("order_z", 0)),
        chosen.get("force_separate_z", False),
    )


def _architecture(own: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if "architecture" in own:
        name = str(own["architecture"]["network_class_name"]).rpartition(".")[2]
        arguments = dict(own["architecture"]["arch_kwargs"])
    else:
        name, arguments = str(own["UNet_class_name"]), _first_words(own)
    if name not in NETWORKS:
        raise PluginError(
            f"the network {name} is not one of {', '.join(NETWORKS)}; run the model as an "
            "isolated plugin with the package that defines it"
        )
    return name, arguments


def _first_words(own: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a network of nnunetv2's first releases in the words of the later ones."""
    stages = len(own["n_conv_per_stage_encoder"])
    base, most = own["UNet_base_num_features"], own["unet_max_num_features"]
    plain = own["UNet_class_name"] == "PlainConvUNet"
    return {
        "n_stages": stages,
        "features_per_stage": [min(base * 2**i, most) for i in range(stages)],
        "kernel_sizes": own["conv_kernel_sizes"],
        "strides": own["pool_op_kernel_sizes"],
        "n_conv_per_stage" if plain else "n_blocks_per_stage": own["n_conv_per_stage_encoder"],
        "n_conv_per_stage_decoder": own["n_conv_per_stage_decoder"],
        "conv_bias": True,
        "norm_op": f"torch.nn.InstanceNorm{len(own['patch_size'])}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {},
    }


def plain_name(text: str) -> str:
    """Make a name of ours from a data set's, such as "spleen" from "Dataset009_Spleen"."""
    bare = re.sub(r"^Dataset\d+_", "", text)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", bare)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:63]
