"""SimpleITK as its notebooks tune it for registration: what a careful user of it gets."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.volume import Volume


def rigid(
    fixed: Volume,
    moving: Volume,
    *,
    share: float = 0.05,
    shortest: float = 1e-3,
    starts: str = "MOMENTS",
) -> NDArray[np.float64]:
    """Register by Mattes' mutual information: centred start, physical shifts, three resolutions.

    Args:
        fixed: The volume whose frame of reference counts.
        moving: The volume to be brought there.
        share: Of the voxels of the finest resolution that are sampled.
        shortest: Step at which the optimiser stops, in mm.
        starts: "MOMENTS" or "GEOMETRY", how the volumes are centred at first.

    Returns:
        (4, 4), from the moving volume's patient coordinates to the fixed one's, mm.
    """
    import SimpleITK as sitk  # noqa: N813 -- its own documentation calls it so

    one, other = image(fixed), image(moving)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentagePerLevel([min(1, 16 * share), min(1, 4 * share), share], 7)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, shortest, 200, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    kind = getattr(sitk.CenteredTransformInitializerFilter, starts)
    start = sitk.CenteredTransformInitializer(one, other, sitk.Euler3DTransform(), kind)
    method.SetInitialTransform(start, inPlace=False)
    return np.asarray(np.linalg.inv(matrix(method.Execute(one, other))))


def image(volume: Volume) -> Any:
    """Return a volume as SimpleITK knows it."""
    import SimpleITK as sitk  # noqa: N813 -- its own documentation calls it so

    made = sitk.GetImageFromArray(np.asarray(volume.voxels, dtype=np.float32))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    made.SetSpacing(spacing.tolist())
    made.SetOrigin(volume.affine[:3, 3].tolist())
    made.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    return made


def matrix(transform: Any) -> NDArray[np.float64]:
    """Return where a transform takes fixed points as a matrix (4, 4)."""
    corners = 100 * np.vstack((np.zeros(3), np.eye(3)))
    there = np.array([transform.TransformPoint(one.tolist()) for one in corners])
    found = np.eye(4)
    found[:3, 3] = there[0]
    found[:3, :3] = ((there[1:] - there[0]) / 100).T
    return found
