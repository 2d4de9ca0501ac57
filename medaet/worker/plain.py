"""What a child does without torch: an isolated plugin need not bring it."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NoReturn

from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin.findings import Findings


@cache
def has_torch() -> bool:
    """Whether this interpreter has torch."""
    return importlib.util.find_spec("torch") is not None


class PlainRuntime:
    """The machine as an analysis sees it where there is no torch.

    Args:
        device: In torch's spelling.
        on_progress: Called with a fraction from 0 to 1 and a few words.
        checkpoint: Called with every word of progress; it may take its time.
    """

    def __init__(
        self,
        device: str,
        on_progress: Callable[[float, str], None],
        checkpoint: Callable[[], None],
    ) -> None:
        self.device = device
        self._on_progress = on_progress
        self._checkpoint = checkpoint

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the analysis is, from 0 to 1."""
        self._on_progress(fraction, text)
        self._checkpoint()

    @property
    def network_seconds(self) -> float:
        """How long networks computed: there are none."""
        return 0.0

    def told(self) -> dict[str, str]:
        """Say how networks were computed: there are none."""
        return {}

    def load_weights(self, *_: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()

    def torchscript(self, *_: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()

    def tensor(self, *_: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()

    def segment(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()

    def predict(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()

    def detect(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise _without_torch()


def features_of(findings: Findings, inputs: Mapping[str, Volume], device: str) -> Findings:
    """Compute the features that findings ask for.

    Raises:
        PluginError: some are asked for, and there is no torch.
    """
    if not has_torch():
        if any(one.request is not None for one in findings.measurements):
            raise _without_torch()
        return findings
    from medaet.compute.features.measure import measured

    return measured(findings, inputs, device)


def platform_of(device: str) -> dict[str, str]:
    """Device and versions of what computes networks, by name; nothing where there is no torch to compute them."""
    if not has_torch():
        return {}
    import torch

    from medaet.compute.platform import platform

    return platform(torch.device(device))


@contextlib.contextmanager
def standing_alone() -> Iterator[None]:
    """Let a run begin in the middle of another as if there were none."""
    if not has_torch():
        yield
        return
    from medaet.compute.device import fresh

    with fresh():
        yield


def device_failed(error: Exception) -> bool:
    """Whether an error means that the device is lost to this process."""
    if not has_torch():
        return False
    from medaet.compute.failures import is_device_failure

    return is_device_failure(error)


def memory_failed(error: Exception) -> bool:
    """Whether an error means that memory did not suffice: torch has plain RuntimeErrors for it."""
    if not has_torch():
        return isinstance(error, MemoryError)
    from medaet.compute.failures import is_out_of_memory

    return is_out_of_memory(error)


def _without_torch() -> PluginError:
    return PluginError(
        "this environment has no torch, which networks and features need; let the plugin require it, or install it "
        "with --shared torch"
    )
