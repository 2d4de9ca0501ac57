"""The configuration of a training run: one page of TOML, of which only `name` and one `[[data]]` are obligatory.

What is left out is planned from the data (`medaet.compute.training.planning`).
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator

from medaet.config.section import Section
from medaet.errors import ConfigError

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
SplitName = Literal["train", "validation", "test"]
Spacing = tuple[
    Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
]
Patch = tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]]
Share = Annotated[float, Field(ge=0, le=1)]


class Coded(Section):
    """A coded concept (PS3.3 §8.8)."""

    value: Annotated[str, StringConstraints(min_length=1, max_length=16)]
    scheme: Annotated[str, StringConstraints(min_length=1, max_length=16)] = "SCT"
    meaning: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Structure(Section):
    """One structure to learn.

    Attributes:
        name: What people read; the segment label of the model's results.
        label: Its value in label images; for SEG and RTSTRUCT the names count.
        names: Segment labels or ROI names that mean it, beside `name`; compared without case.
        code: What it is.
        modifier: Its side, for instance.
        parts: How many connected parts of it are kept, the largest; 0 for all, None for one where every training scan
            shows one.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    label: Annotated[int, Field(ge=1, le=255)] | None = None
    names: tuple[str, ...] = ()
    code: Coded | None = None
    modifier: Coded | None = None
    parts: Annotated[int, Field(ge=0, le=255)] | None = None


class Teacher(Section):
    """An analysis that makes the labels where nobody drew any; a model that learned from it says so.

    Attributes:
        analysis: Its name.
        module: The plugin module that offers it, when it is not installed.
    """

    analysis: ModelName
    module: str = ""


class DataSource(Section):
    """Where labelled scans are.

    Attributes:
        kind: "dicom" (folders with series and their SEG or RTSTRUCT objects), "pairs" (a table cases.csv, or folders
            images/ and labels/ of NIfTI or NRRD files), "decathlon", "nnunet" (raw layout), "store" (the daemon's).
        path: Folder, from the configuration file's own; for "store" the daemon's medaet.toml.
        split: Which split all of its patients belong to; "auto" draws them.
        teacher: Who labels what nobody has.
    """

    kind: Literal["dicom", "pairs", "decathlon", "nnunet", "store"]
    path: Path
    split: Literal["auto", "train", "validation", "test"] = "auto"
    teacher: Teacher | None = None


class PlanSection(Section):
    """What the network sees; None is planned from the data."""

    spacing_mm: Spacing | None = None
    patch: Patch | None = None
    batch: Annotated[int, Field(ge=1, le=256)] | None = None
    network: Literal["unet", "dynunet", "segresnet"] | None = None
    channels: tuple[Annotated[int, Field(ge=4, le=1024)], ...] | None = None
    norm: Literal["batch", "instance"] | None = None
    intensity: tuple[float, float] | Literal["z-score"] | None = None


class LoopSection(Section):
    """How long and how fast it learns.

    Attributes:
        epochs: Each of `steps_per_epoch` batches.
        accumulate: Batches whose gradients are added up before a step.
        precision: "auto" is bf16 where the device computes in it, else fp16 on a GPU, else fp32.
        ema: Share of the old average weights kept in each step; 0 turns the average off.
        patience: Epochs without a better validation Dice after which it stops; needs validation patients.
        foreground: Share of patches centred on a structure, each as often as the others.
        checkpoint_seconds: How much work a crash may cost; written at the end of an epoch in any case.
    """

    epochs: Annotated[int, Field(ge=1)] = 20
    steps_per_epoch: Annotated[int, Field(ge=1)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["cosine", "polynomial"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    accumulate: Annotated[int, Field(ge=1, le=64)] = 1
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.98
    patience: Annotated[int, Field(ge=1)] = 10
    foreground: Share = 0.67
    gradient_norm: Annotated[float, Field(gt=0)] = 12.0
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 60.0


class AugmentSection(Section):
    """How training patches are varied; chances are per patch.

    Attributes:
        rotation_degrees: Largest turn about the slice axis; about the others in proportion to the spacing.
        mirror: Array axes of (slice, row, column) that may be flipped; None for the columns, unless the structures
            have sides.
        noise: Largest standard deviation, in units of the normalised image.
        empty_side: Chance to replace the structures beyond a random slice by soft tissue, for scans that are cropped to
            their structures and would never show the network anything else.
        foreign_bodies: Chance to paint balls and shells of any brightness where nothing is labelled: the gas, tables
            and arms that few scans do not show.
    """

    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 15.0
    scale: tuple[float, float] = (0.8, 1.25)
    mirror: tuple[Annotated[int, Field(ge=0, le=2)], ...] | None = None
    shift: Annotated[float, Field(ge=0)] = 0.1
    contrast: tuple[float, float] = (0.8, 1.25)
    gamma: tuple[float, float] = (0.8, 1.25)
    noise: Annotated[float, Field(ge=0)] = 0.1
    blur: Share = 0.2
    low_resolution: Share = 0.2
    empty_side: Share = 0.0
    foreign_bodies: Share = 0.0


class SynthesisSection(Section):
    """Images made from label maps: contrasts at random, so that the network trusts none.

    Attributes:
        share: Of the training patches.
        split_background: Classes into which what carries no label is parted by its intensities, so that a synthetic
            head has a scalp, a skull and an orbit although only its brain was labelled.
    """

    share: Share = 0.0
    split_background: Annotated[int, Field(ge=1, le=16)] = 5

    @property
    def used(self) -> bool:
        """Whether any image is synthetic."""
        return self.share > 0


class CardSection(Section):
    """What the model card says beyond what the machine knows."""

    intended_use: str = "Not for diagnostic use."
    licence: str = ""
    data: str = ""
    limits: str = ""


class Limits(Section):
    """What a reduced precision may cost, per structure."""

    lowest_dice: Share = 0.99
    largest_volume_error_percent: Annotated[float, Field(ge=0)] = 1.0


class TrainingConfig(Section):
    """All of a training configuration.

    Attributes:
        precisions: Reduced precisions to try on the reference cases when the model is written; what keeps the limits
            gets a certificate, which is imported with the model. Empty for none.
    """

    name: ModelName
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "1.0.0"
    title: Annotated[str, StringConstraints(max_length=64)] = ""
    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 1
    validation_share: Share = 0.2
    test_share: Share = 0.2
    data: Annotated[tuple[DataSource, ...], Field(min_length=1)]
    structures: tuple[Structure, ...] = ()
    plan: PlanSection = PlanSection()
    training: LoopSection = LoopSection()
    augment: AugmentSection = AugmentSection()
    synthesis: SynthesisSection = SynthesisSection()
    limits: Limits = Limits()
    precisions: tuple[Literal["tf32", "bf16", "fp16", "int8"], ...] = ("bf16", "int8")
    card: CardSection = CardSection()

    @field_validator("modality", "body_part", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def load_training(path: Path) -> TrainingConfig:
    """Read a training configuration, TOML or JSON; relative data folders start at the folder of the file.

    Raises:
        ConfigError: with every mistake, one a line, each with its key path.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not {path.suffix.lstrip('.').upper()}: {error}") from error
    return parse_training(raw, path.absolute().parent, path.name)


def parse_training(raw: object, folder: Path, name: str) -> TrainingConfig:
    """Check what a training configuration holds.

    Args:
        raw: The parsed file.
        folder: Where relative data folders start.
        name: Of the file, for messages.

    Raises:
        ConfigError: with every mistake, one a line, each with its key path.
    """
    try:
        config = TrainingConfig.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(str(part) for part in one['loc']) or 'the file'}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from error
    _check_structures(config, name)
    data = tuple(one.model_copy(update={"path": folder / one.path}) for one in config.data)
    return config.model_copy(update={"data": data})


def _check_structures(config: TrainingConfig, name: str) -> None:
    names = [one.name.casefold() for one in config.structures]
    doubled = sorted({one for one in names if names.count(one) > 1})
    if doubled:
        raise ConfigError(f"{name}: structures: {doubled[0]!r} is named twice; rename one of them")
    if config.validation_share + config.test_share >= 1:
        raise ConfigError(
            f"{name}: validation_share and test_share leave nothing to train on; their sum must be below 1"
        )
