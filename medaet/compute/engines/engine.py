"""What an engine is, and what all of them need."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from medaet.errors import EngineError
from medaet.precision import EngineName, Precision


class Engine(Protocol):
    """A network made ready for windows of one shape on one device."""

    @property
    def name(self) -> EngineName:
        """Which program runs it."""
        ...

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Map windows (batch, channel, *window) to float32 logits (batch, class, *window), on the windows' device.

        Logits are valid until the next call: engines use their memory again.
        """
        ...


@dataclass(frozen=True, slots=True, weakref_slot=True)
class OnnxFile:
    """A network that comes as an ONNX file, with one input and one output."""

    path: Path


Source = nn.Module | OnnxFile
"""A network as a plugin has it; TorchScript modules and exported programs are torch modules too."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What an engine is made for.

    Attributes:
        source: The network, in evaluation mode, on the device.
        example: Real windows (batch, channel, *window) on the device; engines may be specialised to their shape.
        precision: How to compute.
        fingerprint: Hash of the network, to find again on disk what was made of it.
        cache: Folder for what takes long to make; None to make it anew.
        quantised: Folder of quantised networks, for int8.
        calls: How often a volume like the first calls the network for so many windows; 0 where nobody knows.
    """

    source: Source
    example: torch.Tensor
    precision: Precision
    fingerprint: str = ""
    cache: Path | None = None
    quantised: Path | None = None
    calls: int = 0

    @property
    def device(self) -> torch.device:
        """Where windows are and logits shall be."""
        return self.example.device

    def cached(self, suffix: str) -> Path | None:
        """Name a file for something made of this network for windows of this shape."""
        if self.cache is None or not self.fingerprint:
            return None
        shape = "x".join(str(length) for length in self.example.shape)
        return self.cache / f"{self.fingerprint[:32]}-{shape}-{self.precision}{suffix}"

    @property
    def quantised_name(self) -> str:
        """The file of this network when it is quantised: an ONNX file for windows of one shape, in any number."""
        shape = "x".join(str(length) for length in self.example.shape[1:])
        return f"{self.fingerprint[:32]}-{shape}-int8.onnx"

    @property
    def is_quantised(self) -> bool:
        """Whether there is a quantised form of this network for windows of this shape."""
        return self.quantised is not None and (self.quantised / self.quantised_name).is_file()

    def quantised_file(self) -> Path:
        """Find the network as it was quantised.

        Raises:
            EngineError: it has not been.
        """
        if self.quantised is None or not self.is_quantised:
            raise EngineError("the network has not been quantised; run `medaet models verify`")
        return self.quantised / self.quantised_name


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep converters' warnings out of the log: what they make is compared with the original before it is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
