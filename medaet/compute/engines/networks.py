"""The networks of a child: each made ready for the windows it is shown, and kept ready as long as it is there."""

import copy
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import nn

from medaet.compute.engines.calibration import calibrating
from medaet.compute.engines.choice import Chosen, choose
from medaet.compute.engines.engine import OnnxFile, Source, Task
from medaet.compute.engines.fingerprint import fingerprint
from medaet.compute.engines.ready import Ready
from medaet.compute.ladder import Rung
from medaet.compute.sliding import Network
from medaet.compute.windows import Shape
from medaet.precision import Precision, Terms


class Networks:
    """Makes networks ready, and remembers them.

    Args:
        device: Where they are.
        terms: On which they are computed.
        cache: Folder for what is worked out about networks once; None to work it out each time.
    """

    def __init__(self, device: torch.device, terms: Terms, cache: Path | None) -> None:
        self._device = device
        self._terms = terms
        self._cache = cache
        self._ready: WeakKeyDictionary[Source, dict[object, Ready]] = WeakKeyDictionary()

    def ready(self, network: Source | Network, window: Shape, rung: Rung) -> Network:
        """Find or prepare the engine of a network for windows of one shape; a plain function is run as it is."""
        if not isinstance(network, nn.Module | OnnxFile):
            return network
        engines = self._ready.setdefault(network, {})

        def choose_for(windows: torch.Tensor, calls: int) -> Chosen:
            return self._chosen(self.on(network, rung.device), windows, rung.precision, calls)

        return engines.setdefault((window, rung), Ready(choose_for))

    def on(self, network: Source, device: torch.device) -> Source:
        """Return a network on a device: a copy where that is not its own."""
        if isinstance(network, nn.Module) and device != self._device:
            return copy.deepcopy(network).to(device)
        return network

    def _chosen(
        self, network: Source, windows: torch.Tensor, precision: Precision, calls: int
    ) -> Chosen:
        terms = self._terms
        named = bool(self._cache or terms.calibration or terms.quantised)
        task = Task(
            network,
            windows,
            precision,
            fingerprint(network) if named else "",
            self._cache,
            Path(terms.quantised) if terms.quantised else None,
            calls,
        )
        if precision == "int8" and not task.is_quantised:
            task = replace(task, precision="fp32")  # as it was when the precision was verified
        if terms.calibration:
            return Chosen(calibrating(task, Path(terms.calibration)), {})
        return choose(task, terms.engine)
