"""The same seed gives the same weights: on one CPU to the last bit, on a GPU as far as its kernels allow."""

import os
import warnings

import torch

from medaet.compute.device import limit_threads


def deterministic() -> None:
    """Prefer kernels that add in one order; must come before the device is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # it only costs time
    # Of 1 x 1 x 1 kernels, whose memory order has two names; nothing is slower for it on the sizes we have.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    limit_threads()
