"""What an error of torch means: memory that did not suffice, a device that must be given up, or a plain mistake."""

import torch

HOST_WORDS = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")
DEVICE_WORDS = (
    "CUDA error",
    "HIP error",
    "cuDNN error",
    "CUBLAS_STATUS",
    "unspecified launch failure",
)
"""torch has raised these as plain RuntimeError, depending on version and library."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller piece of work could succeed where this error arose."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in HOST_WORDS)


def is_device_failure(error: BaseException) -> bool:
    """Whether the device's state is lost to this process: after such an error nothing on it works any more."""
    if is_out_of_memory(error):
        return False
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in DEVICE_WORDS)
