"""The small TOML beside a network file: what the network was trained on, and what its channels mean."""

import re
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medaet.dicom.codes import Code
from medaet.errors import PluginError
from medaet.plugin.model import Task
from medaet.plugin.recipe import Activation, Alignment, BoxMode, BoxOrigin, Interpolation

TORCHSCRIPT = (".ts", ".pt", ".pth", ".torchscript")
ONNX = (".onnx",)

EXAMPLE = """\
modality = "CT"
spacing_mm = [1.5, 1.5, 1.5]        # of the network's input along its axes; 0 for the scan's own
window = [96, 96, 96]               # voxels along the same axes; [1, rows, columns] for a network of planes
orientation = "SPL"                 # where the axes lead; leave it out for the scan's own (slice, row, column)
intensity = { from = [-1000, 400], to = [0, 1] }   # or "z-score", or "none"
outputs = { lung = 1, bone = 2 }    # label = class; 0 is background
# head = "boxes"                    # or "classes", "numbers": a network whose output is no mask
"""

Head = Literal["segmentation", "boxes", "classes", "numbers"]
TASKS: Mapping[Head, Task] = {
    "segmentation": "segmentation",
    "boxes": "detection",
    "classes": "classification",
    "numbers": "regression",
}

UNITS = {
    "1": "no units", "%": "percent", "a": "year", "mo": "month", "d": "day", "mm": "millimeter", "cm": "centimeter",
    "ml": "milliliter", "g": "gram", "kg": "kilogram", "[hnsf'U]": "Hounsfield unit", "deg": "degrees of plane angle",
}  # fmt: skip
"""Meanings of UCUM units; of any other its symbol is the meaning."""

Triple = tuple[float, float, float]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Scale(_Table):
    """A linear map of voxel values; those beyond are clamped."""

    source: Annotated[tuple[float, float], Field(alias="from")]
    target: Annotated[tuple[float, float], Field(alias="to")] = (0.0, 1.0)


class Shown(_Table):
    """How a network is shown a scan; `medaet.plugin.recipe.Recipe` describes what is not described here.

    Attributes:
        spacing_mm: 0 along an axis keeps the scan's own spacing there.
        window: A first length of 1 means a network of planes, (batch, channel, row, column).
        intensity: "z-score" of the whole scan, or a linear map.
        head: What the network's output is: a class for each voxel, boxes, a probability for each class of the whole
            scan, or numbers that were measured on it.
        fit: How classes and numbers are shown a scan: its middle "crop"ped or filled up to the window, or the whole
            scan "stretch"ed to it, whatever its spacing.
        pool: How the outputs of several planes become one.
        threshold: From which probability a class is present where several may be (sigmoid), and a box counts.
        box_mode: See `medaet.plugin.recipe.BoxRecipe`, like all that follow.
    """

    spacing_mm: Annotated[tuple[float, float, float], Field(min_length=3)]
    window: tuple[
        Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]
    ]
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    clip: tuple[float, float] | None = None
    intensity: Literal["none", "z-score"] | Scale = "none"
    alignment: Alignment = "edges"
    interpolation: Interpolation = "linear"
    antialias: bool = False
    mirror: tuple[Annotated[int, Field(ge=0, le=2)], ...] = ()
    activation: Activation = "softmax"
    skip_background: bool = True
    batch: Annotated[int, Field(ge=0)] = 0
    head: Head = "segmentation"
    fit: Literal["crop", "stretch"] = "crop"
    pool: Literal["mean", "max"] = "mean"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    box_mode: BoxMode = "xyzxyz"
    box_origin: BoxOrigin = "centre"
    merge: Annotated[float, Field(ge=0, le=1)] = 0.22
    most: Annotated[int, Field(ge=1, le=1000)] = 100

    @model_validator(mode="after")
    def _window_is_one(self) -> Self:
        if 0 in self.window and self.head != "boxes":
            raise ValueError('a window\'s length of 0, for that of the scan, needs head = "boxes"')
        return self


class Description(Shown):
    """The whole TOML.

    Attributes:
        channels: Roles, one series each, in the order of the network's channels.
        outputs: Classes or channels by label; several where one label has several.
        codes: What each label is, as VALUE^SCHEME^MEANING; proposed where it is missing.
        units: UCUM unit of each label's number.
    """

    name: str = ""
    version: str = "1"
    title: str = ""
    intended_use: str = ""
    modality: str = ""
    body_part: tuple[str, ...] = ()
    min_slices: Annotated[int, Field(ge=1)] | None = None
    orientation: str = ""
    channels: Annotated[tuple[str, ...], Field(min_length=1)] = ("image",)
    memory_mb: Annotated[int, Field(gt=0)] = 2000
    outputs: Annotated[dict[str, int | tuple[int, ...]], Field(min_length=1)]
    codes: dict[str, Annotated[str, Field(pattern=r"^[^^]+\^[^^]+\^[^^]+$")]] = {}
    units: dict[str, Annotated[str, Field(min_length=1, max_length=16)]] = {}

    @model_validator(mode="after")
    def _names_outputs(self) -> Self:
        unknown = sorted({*self.codes, *self.units} - {*self.outputs})
        if unknown:
            raise ValueError(f"codes and units name {unknown[0]!r}, which is none of the outputs")
        if self.units and self.head != "numbers":
            raise ValueError('units belong to head = "numbers"')
        missing = sorted({*self.outputs} - {*self.units}) if self.head == "numbers" else ()
        if missing:
            raise ValueError(f'units must say in which UCUM unit {missing[0]!r} is, "1" for none')
        return self

    def shown(self) -> dict[str, object]:
        """Return what inference needs of it, as it goes into model.toml."""
        return self.model_dump(
            mode="json",
            include=set(Shown.model_fields),
            exclude_none=True,
            exclude_defaults=True,
            by_alias=True,
        )

    def code(self, label: str) -> Code | None:
        """Return the concept that the TOML gives a label."""
        given = self.codes.get(label)
        return Code(*given.split("^")) if given else None

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Classes or channels by label."""
        return {
            label: (one,) if isinstance(one, int) else one for label, one in self.outputs.items()
        }


def network_file(source: Path, suffixes: tuple[str, ...]) -> Path | None:
    """Find a network: the file itself, the one that a TOML of its name lies beside, or the only one of a folder."""
    if source.is_dir():
        found = [one for one in sorted(source.iterdir()) if _is_network(one, suffixes)]
    elif source.suffix == ".toml":
        found = [
            one for suffix in suffixes if _is_network(one := source.with_suffix(suffix), suffixes)
        ]
    else:
        found = [source] if _is_network(source, suffixes) else []
    return found[0] if len(found) == 1 else None


def read_description(network: Path) -> Description:
    """Read the TOML beside a network.

    Raises:
        PluginError: it is missing, and what to write; or one line for each mistake.
    """
    path = network.with_suffix(".toml")
    if not path.is_file():
        raise PluginError(
            f"{network.name} does not say how it was trained: write {path.name} beside it, such as\n\n{EXAMPLE}"
        )
    try:
        return Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        lines = [
            f"{path.name}: {'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        raise PluginError("\n".join(lines)) from error
    except ValueError as error:
        raise PluginError(f"{path.name} is no TOML: {error}") from error


def scripts(network: Path) -> list[str]:
    """Return the code of a TorchScript file, without running any of it."""
    with zipfile.ZipFile(network) as archive:
        names = [one for one in archive.namelist() if re.search(r"(^|/)code/.*\.py$", one)]
        return [archive.read(one).decode("utf-8", "replace") for one in names]


def _is_network(path: Path, suffixes: tuple[str, ...]) -> bool:
    if path.suffix.lower() not in suffixes or not path.is_file():
        return False
    if suffixes == ONNX:
        return True
    return zipfile.is_zipfile(path) and bool(scripts(path))  # a .pt may also be bare weights
