"""Memory where networks live: the device's, or the host's where there is no other."""

import ctypes

from medaet.worker import limits
from medaet.worker.protocol import Message


class DeviceMemory:
    """Asks torch about a GPU, and the kernel where there is none.

    Args:
        device: In torch's spelling.
        limit_bytes: Of host memory; 0 for all there is.
    """

    def __init__(self, device: str, limit_bytes: int) -> None:
        import torch

        self._gpu = torch.device(device) if device.startswith("cuda") else None
        self._limit_bytes = limit_bytes

    @property
    def total_bytes(self) -> int:
        """How much there is."""
        if self._gpu is None:
            return self._limit_bytes or limits.host_bytes()
        import torch

        return int(torch.cuda.mem_get_info(self._gpu)[1])

    def used_bytes(self) -> int:
        """How much this process uses now."""
        if self._gpu is None:
            return limits.resident_bytes()
        import torch

        return int(torch.cuda.memory_allocated(self._gpu))

    def forget_peak(self) -> None:
        """Let the device's peak start anew."""
        if self._gpu is not None:
            import torch

            torch.cuda.reset_peak_memory_stats(self._gpu)

    def peak_bytes(self) -> int:
        """Return the most device memory that was reserved; 0 where there is no device."""
        if self._gpu is None:
            return 0
        import torch

        return int(torch.cuda.max_memory_reserved(self._gpu))

    def held_bytes(self, warm_bytes: int) -> Message:
        """Give back what can be given back, and say what is held beside the models that are kept."""
        ctypes.CDLL(None).malloc_trim(0)
        held = {"host_held_bytes": limits.resident_bytes(), "device_held_bytes": 0}
        if self._gpu is None:
            held["host_held_bytes"] -= warm_bytes
            return held
        import torch

        torch.cuda.empty_cache()  # what stays is in use, or fragments that cannot be given back
        held["device_held_bytes"] = int(torch.cuda.memory_reserved(self._gpu)) - warm_bytes
        return held
