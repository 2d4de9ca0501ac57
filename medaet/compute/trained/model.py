"""A model folder that `medaet train` wrote, opened for inference."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from medaet.compute.trained.components import kept
from medaet.compute.trained.intensity import Intensity
from medaet.compute.trained.network import build
from medaet.compute.trained.plan import ORIENTATION, Plan
from medaet.dicom.volume import Volume
from medaet.errors import PluginError
from medaet.plugin.analysis import AnalysisRuntime
from medaet.plugin.axes import towards

MANIFEST, WEIGHTS = "training.json", "models/model.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A network, and how it is shown a scan.

    Attributes:
        network: On its device, in evaluation mode.
        plan: What training fixed.
    """

    network: nn.Module
    plan: Plan

    @classmethod
    def read(cls, manifest: Path, weights: Path, device: str) -> "TrainedModel":
        """Open a model; nothing in its files is executed.

        Args:
            manifest: Its training.json.
            weights: Its model.safetensors.
            device: In torch's spelling.

        Raises:
            PluginError: a file is missing or damaged, or the weights are not those of the manifest.
        """
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            plan, wanted = Plan.of(content["plan"]), content["weights_sha256"]
            found = hashlib.sha256(weights.read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PluginError(
                f"{manifest}: not a model that was trained here ({type(error).__name__}); import it again"
            ) from error
        if found != wanted:
            raise PluginError(
                f"{weights.name}: SHA-256 {found[:12]}, but {manifest.name} was written for {wanted[:12]}; "
                "import the model again"
            )
        network = build(plan, seed=0)
        network.load_state_dict(load_file(weights))
        return cls(network.to(device).eval(), plan)

    def segment(self, volume: Volume, runtime: AnalysisRuntime) -> NDArray[np.uint8]:
        """Segment a volume that lies any way: the n-th structure is n, on the volume's own grid."""
        turn = towards(ORIENTATION, volume.affine)
        turned = Volume(
            np.ascontiguousarray(turn.apply(volume.voxels)),
            turn.affine(volume.affine, volume.voxels.shape),
            volume.modality,
        )
        found = turn.undo(segment(self.network, turned, self.plan, runtime))
        return np.ascontiguousarray(found, dtype=np.uint8)


def segment(
    network: nn.Module, volume: Volume, plan: Plan, runtime: AnalysisRuntime
) -> NDArray[np.uint8]:
    """Segment a volume whose axes run as the plan's, on its own grid: the n-th structure is n."""
    found = runtime.segment(
        network,
        volume,
        spacing_mm=plan.spacing_mm,
        window=plan.patch,
        overlap=plan.overlap,
        intensity=Intensity(plan.intensity),
    )
    return kept(found, plan.parts)
