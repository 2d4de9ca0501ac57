"""The contract between MedAET and whoever measures something: a class with a manifest, `load` and `analyse`."""

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from medaet.dicom.codes import Code
from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin.detection import Candidate
from medaet.plugin.findings import Findings
from medaet.plugin.partner import Partner
from medaet.plugin.recipe import BoxRecipe, Options, ShownOptions
from medaet.plugin.registration import Alignment
from medaet.plugin.selector import SeriesSelector
from medaet.precision import Limits

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Settings(BaseModel):
    """An analysis' own settings, `[plugins.NAME]` of medaet.toml; subclass it and add fields with defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnalysisRuntime(Protocol):
    """What an analysis may ask of the machine it runs on; `medaet.compute.runtime.Runtime` is the real one."""

    @property
    def device(self) -> str:
        """The device in torch's spelling, such as "cpu" or "cuda:0"."""
        ...

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the analysis is, from 0 to 1."""
        ...

    def load_weights(self, network: Any, path: Path) -> Any:
        """Load a torch module's weights from a safetensors file, ready for inference on the device."""
        ...

    def torchscript(self, path: Path) -> Any:
        """Load a TorchScript network, ready for inference on the device."""
        ...

    def tensor(self, volume: Volume) -> Any:
        """Copy a volume's voxels to the device as a torch tensor: float32, (1, slice, row, column)."""
        ...

    def segment(
        self,
        network: Any,  # a torch module; importing this contract never loads torch
        volume: Volume | Sequence[Volume],
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[Options],
    ) -> NDArray[np.uint8]:
        """Run a network over a volume in sliding windows; see `medaet.compute.runtime.Runtime.segment`."""
        ...

    def predict(
        self,
        network: Any,
        volume: Volume | Sequence[Volume],
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[ShownOptions],
    ) -> NDArray[np.float32]:
        """Run a network that says something of a scan as a whole; see `medaet.compute.runtime.Runtime.predict`."""
        ...

    def detect(
        self,
        network: Any,
        volume: Volume | Sequence[Volume],
        boxes: BoxRecipe,
        *,
        spacing_mm: tuple[float, float, float],
        **options: Unpack[ShownOptions],
    ) -> list[Candidate]:
        """Run a network that finds boxes; see `medaet.compute.runtime.Runtime.detect`."""
        ...


class Analysis:
    """One thing that can be measured on a study. Subclass it, fill in the manifest, write `analyse`.

    The manifest is class attributes, so that it can be read without torch and without a GPU; import torch inside
    `load` and `analyse` or in a module that they import.

    Attributes:
        name: Lower case letters, digits and hyphens; names the analysis in routes, UIDs and on the command line.
        version: Changes whenever results may change.
        inputs: Which series take part, by role.
        partners: Where the series of a role may come from, by role; not the first one, against which the others are
            measured. A role that is not named takes series of the same study, and is waited for.
        alignments: Which of them are registered to which, by the role that is moved; `inputs["mr"].on(inputs["ct"])`
            then shows one on the grid of the other.
        title: What a person reads.
        intended_use: One or two sentences for the report and for `medaet plugins info`.
        not_for_diagnostic_use: Whether results carry a visible warning.
        resources: Files beside the class' module that decide the result (weights); hashed into the result's UIDs.
        family: Algorithm family (PS3.16 CID 7162).
        memory_mb: Roughly how much memory a run takes, device or host, before it has been measured.
        limits: What a precision other than fp32 may cost.
        reference: Folder beside the class' module with the reference cases that this is measured on.
        procedure: Procedure reported (PS3.16 CID 100); None for the imaging procedure of the modality.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    inputs: ClassVar[Mapping[str, SeriesSelector]]
    partners: ClassVar[Mapping[str, Partner]] = {}
    alignments: ClassVar[Mapping[str, Alignment]] = {}
    title: ClassVar[str] = ""
    intended_use: ClassVar[str] = ""
    not_for_diagnostic_use: ClassVar[bool] = True
    resources: ClassVar[tuple[str, ...]] = ()
    family: ClassVar[Code] = Code("123110", "DCM", "Artificial Intelligence")
    memory_mb: ClassVar[int] = 2000
    limits: ClassVar[Limits] = Limits()
    reference: ClassVar[str] = "reference"
    procedure: ClassVar[Code | None] = None
    Settings: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: BaseModel | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    def load(self, runtime: AnalysisRuntime) -> None:
        """Read weights and prepare the device; called once, before the first `analyse`."""

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        """Look at the volumes and say what is there.

        Args:
            inputs: One volume for each role of the manifest; axes (slice, row, column), values after the modality
                LUT (HU on CT). A role that refers to another one has none: its regions are that one's
                `Volume.regions`.
            runtime: The device, and the inference engine on it.
        """
        raise NotImplementedError

    @classmethod
    def resource(cls, name: str) -> Path:
        """Return the path of a file that lies beside the module of this class."""
        module = sys.modules[cls.__module__]
        return Path(str(module.__file__)).parent / name

    @classmethod
    def weights_sha256(cls) -> str:
        """Return one SHA-256 over the resource files, in hexadecimal; it changes with every retrained weight."""
        return _sha256(tuple(cls.resource(name) for name in sorted(cls.resources)))


def check_manifest(analysis: type[Analysis]) -> None:
    """Refuse a class whose manifest cannot be used.

    Raises:
        PluginError: naming the class, the attribute and what it should be.
    """
    where = f"{analysis.__module__}.{analysis.__qualname__}"
    for attribute in ("name", "version", "inputs"):
        if not getattr(analysis, attribute, None):
            raise PluginError(f"{where} has no {attribute}; set it as a class attribute")
    if not _NAME.fullmatch(analysis.name):
        raise PluginError(
            f"{where}.name {analysis.name!r}: use lower case letters, digits, hyphens"
        )
    if not 0 < len(analysis.version) <= 64:
        raise PluginError(f"{where}.version takes 1 to 64 characters")
    wrong = [role for role, one in analysis.inputs.items() if not isinstance(one, SeriesSelector)]
    if wrong:
        raise PluginError(f"{where}.inputs[{wrong[0]!r}] is not a SeriesSelector")
    images = [role for role, one in analysis.inputs.items() if one.refers_to is None]
    lost = [role for role, one in analysis.inputs.items() if one.refers_to not in (None, *images)]
    if lost or not images:
        raise PluginError(
            f"{where}.inputs: {(lost or ['no role'])[0]!r} refers to no role of images"
        )
    _check_partners(analysis, where)
    _check_alignments(analysis, where)
    missing = [name for name in analysis.resources if not analysis.resource(name).is_file()]
    if missing:
        raise PluginError(f"{where}: the resource {missing[0]} is missing; reinstall the plugin")


def _check_partners(analysis: type[Analysis], where: str) -> None:
    others = list(analysis.inputs)[1:]
    for role, partner in analysis.partners.items():
        if not isinstance(partner, Partner):
            raise PluginError(f"{where}.partners[{role!r}] is not a Partner")
        if role not in others:
            raise PluginError(
                f"{where}.partners names {role!r}, which is no role of it but the first"
            )


def _check_alignments(analysis: type[Analysis], where: str) -> None:
    for role, alignment in analysis.alignments.items():
        if not isinstance(alignment, Alignment) or role == alignment.onto:
            raise PluginError(f"{where}.alignments[{role!r}] is not an Alignment onto another role")
        unknown = {role, alignment.onto} - set(analysis.inputs)
        if unknown:
            raise PluginError(f"{where}.alignments names {unknown.pop()!r}, which is no role of it")


def weights_sha256(analysis: type[Analysis]) -> str:
    """Return what stands for everything beside the code that decides an analysis' results."""
    return analysis.weights_sha256()


@cache
def _sha256(files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
