"""The contract of a kind of model: recognise its files, describe them, pack them, and run them as an analysis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from medaet.dicom.codes import Code
from medaet.errors import PluginError
from medaet.plugin.model import Model
from medaet.plugin.model_analysis import ModelAnalysis


@dataclass(frozen=True, slots=True)
class Answers:
    """What an administrator says about a model that its files may not.

    Attributes:
        name: The analysis' name; empty to derive it from the files.
        modality: Of every input; empty to read it from the files.
        body_part: Body Part Examined of the series to take; empty for any.
        min_slices: Fewest slices of a series to take.
        orientation: See `Model.orientation`; None to read it from the files.
        codes: Coded concepts by label, in place of what is proposed.
        trust: Whether code that belongs to the model may run.
    """

    name: str = ""
    modality: str = ""
    body_part: tuple[str, ...] = ()
    min_slices: int = 10
    orientation: str | None = None
    codes: Mapping[str, Code] = field(default_factory=dict)
    trust: bool = False


class ModelKind:
    """A kind of model files; subclass it and return it from the hook `medaet_model_kinds`.

    Importing the module must not load torch: `recognises` and `describe` read text, `pack` runs in a process of its
    own without network, and the analysis imports what it needs in `load` and `analyse`.

    Attributes:
        name: Written into model.toml.
        title: What a person reads.
        analysis: Runs a packed model.
        trial: Settings for the run on a phantom that ends an import.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    analysis: ClassVar[type[ModelAnalysis]]
    trial: ClassVar[Mapping[str, object]] = {}

    @classmethod
    def recognises(cls, source: Path) -> bool:
        """Whether a file or folder is of this kind."""
        raise NotImplementedError

    @classmethod
    def describe(cls, source: Path, answers: Answers) -> Model:
        """Read from the files what the manifest says; nothing of the model is executed.

        Raises:
            PluginError: the files cannot be used, or do not say something and the answers do not either.
        """
        raise NotImplementedError

    @classmethod
    def pack(cls, source: Path, folder: Path, model: Model) -> None:
        """Write what inference needs into an empty folder: weights as safetensors, words as JSON.

        Args:
            source: What was recognised.
            folder: The new model folder.
            model: Its manifest; `model.origin.trusted` says whether code of the model may run here.

        Raises:
            PluginError: the files do not hold what they should, or hold code and are not trusted.
        """
        raise NotImplementedError


def missing(what: str, option: str) -> PluginError:
    """Return the error that asks an administrator for what the files do not say."""
    return PluginError(f"the files do not say {what}; give it with {option}")
