"""On which terms a network is computed: number format, program, and what vouches for them."""

from dataclasses import asdict, dataclass
from typing import Literal

Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
"""fp32: IEEE single precision. tf32: its products rounded to 10 bits of mantissa (recent NVIDIA GPUs). bf16, fp16: 16
bits. int8: weights and activations quantised after training. Only fp32 is used without a certificate."""

EngineName = Literal[
    "eager", "channels_last", "compiled", "torchscript", "exported", "onnxruntime", "openvino"
]
"""Programs that run a network; docs/engines.md describes each."""


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
    """

    engine: EngineName | None = None
    precision: Precision = "fp32"
    certificate: str = ""
    spare_precision: Precision | None = None
    spare_certificate: str = ""

    def plain(self) -> dict[str, str | None]:
        """Return the attributes as JSON knows them."""
        return asdict(self)
