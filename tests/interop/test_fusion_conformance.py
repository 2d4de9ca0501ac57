"""Objects of inputs brought together: valid by dciodvfy, and read by dcmtk."""

import subprocess
from pathlib import Path

import pytest

from medaet.results.objects import Encoded
from medaet.testing.run import encoded
from tests.fused import findings, write_pair
from tests.peers import system_program
from tests.readers import errors_by_dciodvfy

pytestmark = pytest.mark.interop


def one_of_each(results: list[Encoded]) -> dict[str, Path]:
    return {one.kind: one.path for one in results}


@pytest.mark.parametrize("model", ["rigid", "deformable"])
def test_dciodvfy_finds_no_errors_in_objects_of_a_fused_pair(tmp_path: Path, model: str) -> None:
    source = write_pair(tmp_path)
    found = one_of_each(encoded(findings(source, model), source))
    assert set(found) == {"SEG", "REG", "MR", "PR", "SC", "SR"}
    assert {kind: errors_by_dciodvfy(path) for kind, path in found.items()} == {
        kind: [] for kind in found
    }
    dump = [system_program("dcmdump"), "-q", str(found["REG"])]
    assert subprocess.run(dump, capture_output=True, check=False).returncode == 0
