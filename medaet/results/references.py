"""References to the instances of several series, sorted by series and study (PS3.3 §C.12.2)."""

from collections.abc import Mapping, Sequence

from pydicom import Dataset

from medaet.results.multi_frame import references
from medaet.results.source import SourceSeries


def put_common_references(
    dataset: Dataset, series: Sequence[SourceSeries], made: Mapping[str, Sequence[Dataset]]
) -> None:
    """Name every instance that a result refers to, those of its own study first.

    Args:
        dataset: The result, with its Study Instance UID; changed in place.
        series: Source series that it refers to.
        made: Further instances of its own study that it refers to, by Series Instance UID.
    """
    own = str(dataset.StudyInstanceUID)
    studies: dict[str, list[Dataset]] = {}
    for one in series:
        items = studies.setdefault(str(one.first.StudyInstanceUID), [])
        items.append(_series(str(one.first.SeriesInstanceUID), references(one)))
    for uid, instances in made.items():
        items = [reference_to(instance) for instance in instances]
        studies.setdefault(own, []).append(_series(uid, items))
    if own in studies:
        dataset.ReferencedSeriesSequence = studies.pop(own)
    if studies:
        dataset.StudiesContainingOtherReferencedInstancesSequence = [
            _study(uid, items) for uid, items in studies.items()
        ]


def reference_to(instance: Dataset) -> Dataset:
    """Return a reference to one instance (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = instance.SOPClassUID
    item.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    return item


def _series(uid: str, instances: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ReferencedInstanceSequence = instances
    return item


def _study(uid: str, series: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = uid
    item.ReferencedSeriesSequence = series
    return item
