"""The proof of points: each lies on a voxel of its structure, on an image of the source."""

from collections.abc import Mapping, Sequence

from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.segment import Segment


def prove_points(
    groups: Sequence[Dataset], segments: Sequence[Segment], volumes: Mapping[str, Volume]
) -> int:
    """Compare the groups that hold a point each with the segments.

    Args:
        groups: Items of the content tree (PS3.16 TID 1410).
        segments: Those that have voxels on a stored slice, in order.
        volumes: By role.

    Returns:
        How many points lie where they should.

    Raises:
        ProofError: a point lies elsewhere.
    """
    if len(groups) != len(segments):
        raise ProofError(f"the report has {len(groups)} points for {len(segments)} segments")
    for group, segment in zip(groups, segments, strict=True):
        (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
        (image,) = [item for item in region.ContentSequence if item.ValueType == "IMAGE"]
        volume = volumes[str(segment.role)]
        reference = image.ReferencedSOPSequence[0]
        place = (
            str(reference.ReferencedSOPInstanceUID),
            int(reference.get("ReferencedFrameNumber") or 0),
        )
        column, row = (int(part) for part in region.GraphicData)
        slices = [
            number
            for plane, number in zip(volume.planes, volume.slices, strict=True)
            if (plane.sop_instance_uid, plane.frame) == place
        ]
        if not slices or not segment.voxels.plane(slices[0])[row, column]:
            raise ProofError(f"the point of {segment.label!r} does not lie in it")
    return len(groups)
