"""What all imported models share as analyses: a manifest made from model.toml, and findings made from their outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.codes import NO_UNITS
from medaet.dicom.volume import Volume
from medaet.plugin.analysis import Analysis
from medaet.plugin.detection import Candidate, Classification, Detection
from medaet.plugin.findings import Findings, Measurement
from medaet.plugin.mask import BooleanMask, LabelMap, Mask
from medaet.plugin.model import Model, Output, check_files, digest
from medaet.plugin.segment import Segment

_Told = TypeVar("_Told", Detection, Classification)


class ModelAnalysis(Analysis):
    """An imported model; a `ModelKind` names a subclass that knows how to load and run its files.

    Attributes:
        model: The manifest.
        folder: Where the files are.
    """

    model: ClassVar[Model]
    folder: ClassVar[Path]

    @classmethod
    def of(cls, model: Model, folder: Path) -> "type[ModelAnalysis]":
        """Make the class of one model."""
        manifest = {
            "model": model,
            "folder": folder,
            "name": model.name,
            "version": model.version,
            "inputs": dict(model.inputs),
            "title": model.title or model.name,
            "intended_use": model.intended_use,
            "not_for_diagnostic_use": model.not_for_diagnostic_use,
            "memory_mb": model.memory_mb,
            "resources": tuple(model.files),
            "__module__": cls.__module__,
            "__doc__": model.title or model.name,
        }
        return type(cls.__name__, (cls,), manifest)

    @classmethod
    def resource(cls, name: str) -> Path:
        """Return the path of a file of the model folder."""
        return cls.folder / name

    @classmethod
    def weights_sha256(cls) -> str:
        """Return the digest of the manifest, which pins every file; `checked` compares the files with it."""
        return digest(cls.folder)

    def checked(self) -> Path:
        """Return the folder, after its files were compared with the manifest.

        Raises:
            PluginError: a file is not the one that was imported.
        """
        check_files(self.model, self.folder)
        return self.folder

    def volumes(self, inputs: Mapping[str, Volume]) -> list[Volume]:
        """Return the inputs in the order of the network's channels."""
        return [inputs[role] for role in self.model.inputs]

    def from_labels(self, labels: NDArray[np.uint8] | NDArray[np.uint16]) -> Findings:
        """Make findings of a label map on the grid of the first input.

        Args:
            labels: (slice, row, column); a voxel belongs to every output that lists its value.
        """
        label_map = LabelMap(labels)
        return self._found([label_map.mask(*one.values) for one in self.model.outputs])

    def from_channels(self, channels: NDArray[np.bool_]) -> Findings:
        """Make findings of masks that may overlap.

        Args:
            channels: (channel, slice, row, column), on the grid of the first input.
        """
        return self._found(
            [
                BooleanMask(np.logical_or.reduce([channels[value] for value in one.values]))
                for one in self.model.outputs
            ]
        )

    def from_probabilities(
        self, probabilities: Sequence[float], *, threshold: float, exclusive: bool
    ) -> Findings:
        """Make findings of the probability of each class.

        Args:
            probabilities: By the number of the class, from 0 to 1; an output that lists several has their sum, or
                the highest where they do not exclude each other.
            threshold: From which a class counts as present.
            exclusive: Whether only one can be present: the likeliest.
        """
        likely = [
            (sum if exclusive else max)(probabilities[value] for value in one.values)
            for one in self.model.outputs
        ]
        rest = 1 - sum(likely)  # of the classes that are no output, such as "normal"
        best = max(likely)
        return Findings(
            classifications=[
                _described(
                    Classification(
                        output.label,
                        output.code,
                        present=value == best >= rest if exclusive else value >= threshold,
                        probability=min(max(float(value), 0.0), 1.0),
                    ),
                    output,
                )
                for output, value in zip(self.model.outputs, likely, strict=True)
            ]
        )

    def from_numbers(self, numbers: Sequence[float]) -> Findings:
        """Make measurements of the numbers of a regression.

        Args:
            numbers: By the number of the output.
        """
        return Findings(
            measurements=[
                Measurement(output.code, float(numbers[output.values[0]]), output.unit or NO_UNITS)
                for output in self.model.outputs
            ]
        )

    def from_candidates(self, candidates: Sequence[Candidate]) -> Findings:
        """Make detections of boxes on the grid of the first input; a class without any is reported as not detected.

        Args:
            candidates: Those that count, the highest score first.
        """
        role = next(iter(self.model.inputs))
        detections: list[Detection] = []
        absent: list[Classification] = []
        for output in self.model.outputs:
            own = [one for one in candidates if one.number in output.values]
            for number, one in enumerate(own, 1):
                label = f"{output.label[:58]} {number}"
                found = Detection(label, one.box, output.code, one.score, role=role)
                detections.append(_described(found, output))
            if not own:
                found_not = Classification(output.label, output.code, present=False)
                absent.append(_described(found_not, output))
        return Findings(detections=detections, classifications=absent)

    def _found(self, masks: Sequence[Mask]) -> Findings:
        role = next(iter(self.model.inputs))
        segments = [
            Segment(
                output.label,
                mask,
                output.code,
                category=output.category,
                modifier=output.modifier,
                anatomic_region=output.anatomic_region,
                role=role,
            )
            for output, mask in zip(self.model.outputs, masks, strict=True)
        ]
        return Findings(
            segments=segments,
            measurements=[Measurement.volume(of=one.label) for one in segments],
        )


def _described(one: _Told, output: Output) -> _Told:
    return replace(
        one,
        category=output.category,
        modifier=output.modifier,
        anatomic_region=output.anatomic_region,
    )
