"""Registrations: how one frame of reference lies in another, as Spatial Registration instances, rigid to deformable."""

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeformableSpatialRegistrationStorage,
    ExplicitVRLittleEndian,
    SpatialRegistrationStorage,
)

from medaet.dicom.codes import CONTENT_BASED, FRAME_IDENTITY, Code
from medaet.dicom.decimal_string import decimal_strings
from medaet.plugin.registration import Deformation, Registration
from medaet.results.algorithm import Algorithm
from medaet.results.header import (
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
    leave_side_open,
    put_body_part,
)
from medaet.results.multi_frame import references
from medaet.results.references import put_common_references
from medaet.results.source import SourceSeries

COMMENT_LENGTH = 64
MATRIX_TYPES = {"rigid": "RIGID", "affine": "AFFINE", "deformable": "AFFINE"}


def registration_object(
    registration: Registration, fixed: SourceSeries, moving: SourceSeries, algorithm: Algorithm
) -> Dataset:
    """Encode a registration; it belongs to the study and the frame of reference of the fixed series.

    Source:
        PS3.3 §A.39.1, §C.20.2; with a deformation §A.39.2, §C.20.3.
    """
    deformation = registration.deformation
    sop_class = (
        SpatialRegistrationStorage if deformation is None else DeformableSpatialRegistrationStorage
    )
    dataset = _header(sop_class, fixed, moving, algorithm)
    if deformation is None:
        dataset.RegistrationSequence = [
            _registered(fixed, np.eye(4), "RIGID", FRAME_IDENTITY),
            _registered(
                moving, registration.matrix, MATRIX_TYPES[registration.model], CONTENT_BASED
            ),
        ]
    else:
        dataset.DeformableRegistrationSequence = [_deformed(moving, registration, deformation)]
    put_common_references(dataset, (fixed, moving), {})
    return dataset


def _header(
    sop_class: UID, fixed: SourceSeries, moving: SourceSeries, algorithm: Algorithm
) -> Dataset:
    name = f"{moving.role} to {fixed.role}"
    dataset: Dataset = highdicom.base.SOPClass(
        study_instance_uid=str(fixed.first.StudyInstanceUID),
        series_instance_uid=algorithm.uid("REG", "series"),
        series_number=SERIES_NUMBERS["REG"],
        sop_instance_uid=algorithm.uid("REG", "instance", moving.role, fixed.role),
        sop_class_uid=sop_class,
        instance_number=1,
        modality="REG",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(algorithm, fixed.first),
    )
    dataset.FrameOfReferenceUID = fixed.frame_of_reference_uid
    dataset.PositionReferenceIndicator = str(fixed.first.get("PositionReferenceIndicator") or "")
    dataset.ContentLabel = "REGISTRATION"
    dataset.ContentDescription = fitting(name, fixed.first, length=COMMENT_LENGTH)
    dataset.ContentCreatorName = ""
    complete(dataset, fixed, algorithm, "registration")
    put_body_part(dataset, fixed.first)
    leave_side_open(dataset)
    return dataset


def _registered(
    series: SourceSeries, matrix: NDArray[np.float64], kind: str, code: Code
) -> Dataset:
    """Return how a series' frame of reference lies in the registered one."""
    transformed = _matrix(matrix, kind)
    steps = Dataset()
    steps.RegistrationTypeCodeSequence = [coded(code)]
    steps.MatrixSequence = [transformed]
    item = Dataset()
    if series.first.get("FrameOfReferenceUID"):
        item.FrameOfReferenceUID = series.first.FrameOfReferenceUID
    item.ReferencedImageSequence = references(series)
    item.MatrixRegistrationSequence = [steps]
    return item


def _deformed(
    series: SourceSeries, registration: Registration, deformation: Deformation
) -> Dataset:
    """Return where to look in a series' frame of reference for a place in the registered one."""
    back = np.asarray(np.linalg.inv(registration.matrix))
    grid = Dataset()
    affine = deformation.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing
    grid.ImagePositionPatient = list(decimal_strings(affine[:3, 3].tolist()))
    grid.ImageOrientationPatient = list(decimal_strings(cosines[:, :2].T.ravel().tolist()))
    grid.GridDimensions = list(deformation.vectors.shape[2::-1])
    grid.GridResolution = spacing.tolist()
    grid.VectorGridData = np.ascontiguousarray(deformation.vectors, dtype="<f4").tobytes()
    item = Dataset()
    item.SourceFrameOfReferenceUID = series.frame_of_reference_uid
    item.ReferencedImageSequence = references(series)
    item.RegistrationTypeCodeSequence = [coded(CONTENT_BASED)]
    item.DeformableRegistrationGridSequence = [grid]
    item.PreDeformationMatrixRegistrationSequence = [_matrix(np.eye(4), "RIGID")]
    item.PostDeformationMatrixRegistrationSequence = [
        _matrix(back, MATRIX_TYPES[registration.model])
    ]
    return item


def _matrix(matrix: NDArray[np.float64], kind: str) -> Dataset:
    item = Dataset()
    item.FrameOfReferenceTransformationMatrixType = kind
    item.FrameOfReferenceTransformationMatrix = list(decimal_strings(matrix.ravel().tolist()))
    return item
