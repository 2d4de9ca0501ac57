"""What the images of a series say about whether all of it is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaet.dicom.completeness import Attributes, acquisitions, announced, slices

AXIAL = "1\\0\\0\\0\\1\\0"
SAGITTAL = "0\\1\\0\\0\\0\\-1"


def image(z: float = 0, *, orientation: str = AXIAL, **more: str | int) -> Attributes:
    """Return the attributes of an image at a height; keywords are further attributes."""
    return {
        "ImagePositionPatient": f"-100\\-80.5\\{z:g}",
        "ImageOrientationPatient": orientation,
        "Rows": 512,
        "Columns": 512,
        **more,
    }


def stack(count: int, spacing: float = 2.5, *, without: tuple[int, ...] = ()) -> list[Attributes]:
    """Return the images of a regular stack."""
    return [image(number * spacing) for number in range(count) if number not in without]


def test_regular_slices_have_no_gap() -> None:
    assert slices(stack(40)).complete == "40 slices without a gap"


@given(
    count=st.integers(4, 60),
    spacing=st.floats(0.3, 12),
    missing=st.integers(1, 58),
    shuffle=st.randoms(),
)
def test_slice_that_is_missing_between_others_is_noticed(
    count: int, spacing: float, missing: int, shuffle: object
) -> None:
    missing = 1 + missing % (count - 2)
    images = stack(count, spacing, without=(missing,))
    shuffle.shuffle(images)  # type: ignore[attr-defined]
    found = slices(images)
    if count == 4:  # three slices at two distances: nobody can tell which one is usual
        assert not found.complete
    else:
        assert found.incomplete == "1 slices are missing between others"


def test_gap_of_several_slices_counts_them() -> None:
    assert slices(stack(30, without=(7, 8, 20))).incomplete == "3 slices are missing between others"


def test_distances_that_are_no_multiples_say_nothing() -> None:
    assert slices([image(z) for z in (0, 2, 4, 7.1, 11.9, 12.7)]) == ("", "")


def test_repeated_positions_are_complete_when_they_repeat_equally_often() -> None:
    assert slices(stack(10) + stack(10)).complete == "20 slices without a gap"
    assert slices(stack(10) + stack(9)) == ("", "")


def test_orientations_are_looked_at_one_by_one() -> None:
    sagittal = [{**one, "ImageOrientationPatient": SAGITTAL} for one in stack(5)]
    for number, one in enumerate(sagittal):
        one["ImagePositionPatient"] = f"{number * 3}\\0\\0"
    assert slices([*stack(6), *sagittal]).complete == "11 slices without a gap"
    assert slices([*stack(6), *sagittal[:2]]) == ("", "")


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices_say_nothing(count: int) -> None:
    assert slices(stack(count)) == ("", "")


@pytest.mark.parametrize("broken", ["", "1\\2", "a\\b\\c", "nan\\0\\0", "inf\\0\\0"])
def test_image_without_a_place_keeps_the_others_from_counting_as_complete(broken: str) -> None:
    assert slices([*stack(5), {**image(), "ImagePositionPatient": broken}]) == ("", "")


def test_one_instance_of_many_frames_is_complete() -> None:
    assert slices([{"NumberOfFrames": "120"}]).complete == "one instance of 120 frames"
    assert slices([{"NumberOfFrames": "120"}] * 2) == ("", "")


def test_announced_number_is_the_largest_that_anybody_says() -> None:
    images = [image(number, NumberOfSeriesRelatedInstances="4") for number in range(3)]
    assert announced(images).incomplete == "1 of 4 announced instances are missing"
    assert announced([*images, image(3)]).complete == "all 4 announced instances are there"
    assert announced(images, 3).complete == "all 3 announced instances are there"
    assert announced([image()]) == ("", "")
    assert announced([image(NumberOfSeriesRelatedInstances="many")]) == ("", "")


def test_images_of_an_acquisition_are_counted_by_its_number() -> None:
    def acquired(number: str, total: str) -> Attributes:
        return image(AcquisitionNumber=number, ImagesInAcquisition=total)

    assert acquisitions([acquired("1", "1"), acquired("2", "1")]) == ("", "")
    found = acquisitions([acquired("1", "3"), acquired("1", "3"), acquired("2", "1")])
    assert found.incomplete == "1 of 4 images of the acquisition are missing"
