"""Network files whose output is no mask, at work: boxes, classes of the scan as a whole, and numbers."""

from collections.abc import Sequence

import torch

from medaet.dicom.volume import Volume
from medaet.plugin.analysis import AnalysisRuntime
from medaet.plugin.detection import Candidate
from medaet.plugin.recipe import BoxRecipe
from medaet_plugins.network_file.inference import Predictor


class HeadPredictor(Predictor):
    """A packed network file that finds boxes, tells classes apart, or measures."""

    def probabilities(self, volumes: Sequence[Volume], runtime: AnalysisRuntime) -> list[float]:
        """Return the probability of each class."""
        logits = self._whole(volumes, runtime)
        softmax = self.shown.activation == "softmax"
        return self._pooled(logits.softmax(dim=1) if softmax else logits.sigmoid())

    def numbers(self, volumes: Sequence[Volume], runtime: AnalysisRuntime) -> list[float]:
        """Return the numbers that the network measures."""
        return self._pooled(self._whole(volumes, runtime))

    def boxes(self, volumes: Sequence[Volume], runtime: AnalysisRuntime) -> list[Candidate]:
        """Return the boxes that count, on the grid of the volumes."""
        shown = self.shown
        wanted = BoxRecipe(
            shown.box_mode, shown.box_origin, shown.threshold, shown.merge, shown.most
        )
        spacing_mm = self.spacing(volumes[0])
        return runtime.detect(self.source, volumes, wanted, spacing_mm=spacing_mm, **self.options())

    def _whole(self, volumes: Sequence[Volume], runtime: AnalysisRuntime) -> torch.Tensor:
        """Return what the network says: (part, output), a part being the scan or one of its planes."""
        spacing_mm = self.spacing(volumes[0])
        found = runtime.predict(self.source, volumes, spacing_mm=spacing_mm, **self.options())
        return torch.from_numpy(found)

    def _pooled(self, parts: torch.Tensor) -> list[float]:
        """Join what was said of each plane."""
        joined = parts.mean(dim=0) if self.shown.pool == "mean" else parts.amax(dim=0)
        return [float(one) for one in joined]
