"""Analyses whose networks misbehave, and one that takes its time: plugins for tests of the compute half."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from medaet import Analysis, AnalysisRuntime, Findings, Segment, SeriesSelector, Volume, hookimpl
from medaet.codes import LUNG
from medaet.plugin.analysis import Settings as PluginSettings

WINDOW = (4, 4, 4)


class Networked(Analysis):
    """Runs one network over any CT, in windows of 4 voxels."""

    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}
    network: nn.Module

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        labels = runtime.segment(
            self.network,
            inputs["ct"],
            spacing_mm=inputs["ct"].spacing_mm,
            window=WINDOW,
            overlap=0.0,
            skip_background=False,
            batch=4,
        )
        return Findings([Segment("Found", labels, LUNG)])


class Above(nn.Module):
    """Class 1 above zero."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([-windows, windows], dim=1)


class Slow(Networked):
    """Needs a twentieth of a second for each call of its network, and says when it starts the first."""

    name: ClassVar[str] = "zoo-slow"

    class Settings(PluginSettings):
        """Where to say so."""

        told: str = ""

    def load(self, runtime: AnalysisRuntime) -> None:
        path = Path(self.settings.model_dump()["told"])

        above = Above().forward

        def network(windows: torch.Tensor) -> torch.Tensor:
            path.touch()
            time.sleep(0.05)
            return above(windows)

        self.network = network  # type: ignore[assignment] # a function is run as it is


class NotFinite(Networked):
    """Its network divides by zero."""

    name: ClassVar[str] = "zoo-nan-network"

    def load(self, runtime: AnalysisRuntime) -> None:
        class Divides(nn.Module):
            def forward(self, windows: torch.Tensor) -> torch.Tensor:
                return torch.cat([windows / 0, windows], dim=1)

        self.network = Divides()


class Short(Networked):
    """Its network fits into memory for one window at a time only."""

    name: ClassVar[str] = "zoo-short"

    def load(self, runtime: AnalysisRuntime) -> None:
        self.network = Fits(1)


class TooShort(Networked):
    """Its network fits into no memory."""

    name: ClassVar[str] = "zoo-too-short"

    def load(self, runtime: AnalysisRuntime) -> None:
        self.network = Fits(0)


class Fits(Above):
    """Memory suffices for so many windows in one call."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        if len(windows) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().forward(windows)


class Deep(nn.Module):
    """Class 1 above zero, through enough convolutions that some are quantised."""

    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv3d(1, 2, 3, padding=1)
        others = [nn.Conv3d(2, 2, 3, padding=1) for _ in range(3)]
        with torch.no_grad():
            for layer in (first, *others):
                nn.init.dirac_(layer.weight)
                layer.bias.zero_()  # type: ignore[union-attr] # it has one
            first.weight[1, 0, 1, 1, 1] = -1
        relus = [nn.ReLU() for _ in others]
        self.layers = nn.Sequential(
            first, *(one for pair in zip(relus, others, strict=True) for one in pair)
        )

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.layers(windows).flip(1)  # type: ignore[no-any-return] # torch's stubs


class Quantisable(Networked):
    """Its network survives quantising."""

    name: ClassVar[str] = "zoo-quantisable"

    def load(self, runtime: AnalysisRuntime) -> None:
        self.network = Deep().to(runtime.device).eval()


class Broken(Networked):
    """Its device fails under it, as after an illegal memory access in a kernel."""

    name: ClassVar[str] = "zoo-broken-device"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


class Needy(Networked):
    """Its own tensors, which no ladder makes smaller, do not fit: torch says so in a plain RuntimeError."""

    name: ClassVar[str] = "zoo-needy"

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        torch.empty(1 << 50)
        return Findings()


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    return [Slow, NotFinite, Short, TooShort, Quantisable, Broken, Needy]
