"""MedAET: DICOM in, GPU analyses, DICOM Segmentations and structured reports out.

What a plugin author imports is here; importing it never loads torch.
"""

from medaet.dicom.codes import Code
from medaet.dicom.structures import Structure, structure
from medaet.dicom.volume import Volume
from medaet.errors import MedaetError
from medaet.plugin.analysis import Analysis, AnalysisRuntime, Settings
from medaet.plugin.detection import Box, Classification, Detection
from medaet.plugin.features import FeatureSettings
from medaet.plugin.findings import Evaluation, Findings, Measurement
from medaet.plugin.hookspecs import hookimpl
from medaet.plugin.parametric_map import ParametricMap
from medaet.plugin.partner import Partner
from medaet.plugin.registration import Alignment
from medaet.plugin.segment import Segment, segments_of
from medaet.plugin.selector import SeriesSelector

__version__ = "0.1.0"
__all__ = [
    "Alignment",
    "Analysis",
    "AnalysisRuntime",
    "Box",
    "Classification",
    "Code",
    "Detection",
    "Evaluation",
    "FeatureSettings",
    "Findings",
    "Measurement",
    "MedaetError",
    "ParametricMap",
    "Partner",
    "Segment",
    "SeriesSelector",
    "Settings",
    "Structure",
    "Volume",
    "__version__",
    "hookimpl",
    "segments_of",
    "structure",
]
