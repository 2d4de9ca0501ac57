"""The algorithm that made a result, as its equipment, identification and UIDs name it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from medaet.dicom.codes import Code
from medaet.dicom.uid import derived_uid

MANUFACTURER = "MedAET"
NOT_FOR_DIAGNOSTIC_USE = "not for diagnostic use"
_SERIAL_NUMBER_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One run of one analysis, as far as its results speak of it.

    Attributes:
        name: Name of the analysis, such as "chest-ct".
        version: Version of the analysis.
        title: What a person reads.
        family: Algorithm family (PS3.16 CID 7162).
        weights_sha256: SHA-256 over the files that decide the result; changes with every retrained
            weight.
        settings: The analysis' own settings.
        intended_use: Sentences for the report; may be empty.
        not_for_diagnostic_use: Whether results carry a visible warning.
        device: What it ran on, such as "cpu" or "cuda:0".
        started_at: When the analysis started, aware; every date and time in the results.
        seconds: How long it took.
        instance_key: Stands for study, algorithm, version, weights, settings and inputs; UIDs
            derive from it.
        computed: How networks were computed, in words: engine, precision and its certificate, steps to save memory.
        procedure: Procedure reported (PS3.16 CID 100); None for the imaging procedure of the
            modality.
        precision: Of the computation, such as "float32"; empty when the run does not say.
        steps: What had to be done to fit into memory, such as "smaller window batch"; empty when nothing had.
    """

    name: str
    version: str
    title: str
    family: Code
    weights_sha256: str
    settings: Mapping[str, object]
    intended_use: str
    not_for_diagnostic_use: bool
    device: str
    started_at: datetime
    seconds: float
    instance_key: str
    computed: Mapping[str, str] = field(default_factory=dict)
    procedure: Code | None = None
    precision: str = ""
    steps: tuple[str, ...] = ()

    def uid(self, *parts: str) -> str:
        """Derive the UID of a part of the results; the same run gives the same UIDs."""
        return derived_uid(self.instance_key, *parts)

    @property
    def readable_title(self) -> str:
        """The title, or the name of an analysis that has none."""
        return self.title or self.name

    @property
    def device_uid(self) -> str:
        """UID of the algorithm as a device; other weights or another version make another."""
        return derived_uid("device", self.name, self.version, self.weights_sha256)

    @property
    def serial_number(self) -> str:
        """Serial number of the algorithm as a device: the beginning of the hash of its weights."""
        return self.weights_sha256[:_SERIAL_NUMBER_LENGTH] or self.device_uid

    @property
    def parameters(self) -> dict[str, str]:
        """What the result depends on besides the images, and how it was computed, in words."""
        return {
            "weights sha256": self.weights_sha256,
            "settings": json.dumps(dict(self.settings), sort_keys=True, default=str),
            "device": self.device,
            **self.computed,
            "seconds": f"{self.seconds:.1f}",
            **({"precision": self.precision} if self.precision else {}),
            **({"memory steps": ", ".join(self.steps)} if self.steps else {}),
        }
