"""On which terms a network is computed: number format, program, and what vouches for them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
"""fp32: IEEE single precision. tf32: its products rounded to 10 bits of mantissa (recent NVIDIA GPUs). bf16, fp16: 16
bits. int8: weights and activations quantised after training. Only fp32 is used without a certificate."""

REDUCED: tuple[Precision, ...] = tuple(one for one in get_args(Precision) if one != "fp32")

EngineName = Literal[
    "eager", "channels_last", "compiled", "torchscript", "exported", "onnxruntime", "openvino"
]
"""Programs that run a network; docs/engines.md describes each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reduced precision may cost, for each structure of each reference case.

    Attributes:
        lowest_dice: Dice coefficient with the mask found in fp32, from 0 to 1.
        largest_volume_error_percent: Difference of volume to that mask, in percent of it.
    """

    lowest_dice: float = 0.99
    largest_volume_error_percent: float = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms an analysis' networks are computed.

    Attributes:
        engine: Which program runs them; None for the fastest that agrees with torch, measured on this host.
        precision: Number format.
        certificate: Hash of the certificate that allows a precision other than fp32.
        spare_precision: Cheaper precision with a certificate of its own, for when memory does not suffice; None
            where there is none.
        spare_certificate: Its certificate's hash.
        refused: Why the precision that was asked for is not used; empty where it is.
        quantised: Folder of quantised networks; empty where none is used.
        files: SHA-256 of each quantised network that may be used, by file name.
        calibration: Folder that gets the network and some of its windows, to quantise it; empty for no such thing.
    """

    engine: EngineName | None = None
    precision: Precision = "fp32"
    certificate: str = ""
    spare_precision: Precision | None = None
    spare_certificate: str = ""
    refused: str = ""
    quantised: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    calibration: str = ""

    def plain(self) -> dict[str, object]:
        """Return the attributes as JSON knows them."""
        return {**asdict(self), "files": dict(self.files)}
