"""What identifies a network: its weights and how they are put together."""

import hashlib

import torch
from torch import nn

from medaet.compute.engines.engine import OnnxFile, Source


def fingerprint(source: Source) -> str:
    """Return a SHA-256 in hexadecimal over a network's structure, parameters and buffers."""
    digest = hashlib.sha256()
    if isinstance(source, OnnxFile):
        digest.update(source.path.read_bytes())
        return digest.hexdigest()
    digest.update(_structure(source).encode())
    for name, value in sorted(source.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content = value.detach().cpu().contiguous()
        digest.update(content.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _structure(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return str(module.inlined_graph)
    return f"{type(module).__module__}.{type(module).__qualname__} {module!r}"
