"""The pictures of a run: one of each input, and of each pair, but none that shows nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medaet import Segment
from medaet.codes import BRAIN
from medaet.results.objects import Source
from medaet.results.pictures import write_pictures
from tests.fused import findings, write_pair


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return write_pair(tmp_path_factory.mktemp("head"))


def _written(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_an_input_seen_in_its_pair_and_without_segments_has_no_picture_of_its_own(
    source: Source, tmp_path: Path
) -> None:
    found = findings(source).resolved(source.volumes)
    write_pictures(tmp_path, source.volumes, found, title="fused")
    assert _written(tmp_path) == {"ct.png", "mr-on-ct.png"}


def test_an_input_with_segments_of_its_own_is_shown_beside_its_pair(
    source: Source, tmp_path: Path
) -> None:
    mr = source.volumes["mr"]
    own = Segment("Brain, MR", np.asarray(mr.voxels, np.int16) > 20, BRAIN, role="mr")
    found = findings(source)
    found = replace(found, segments=(*found.segments, own)).resolved(source.volumes)
    write_pictures(tmp_path, source.volumes, found, title="fused")
    assert _written(tmp_path) == {"ct.png", "mr.png", "mr-on-ct.png"}


def test_an_input_of_no_pair_is_shown_even_where_nothing_was_found(
    source: Source, tmp_path: Path
) -> None:
    found = replace(findings(source), segments=(), registrations=(), resampled=())
    write_pictures(tmp_path, source.volumes, found.resolved(source.volumes), title="fused")
    assert _written(tmp_path) == {"ct.png", "mr.png"}
