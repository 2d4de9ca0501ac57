"""The bundled scans: a real chest CT and a real brain MR, as a scanner sends them.

python -m medaet.demo.scans chest-ct FOLDER
"""

import argparse
import io
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

ScanName = Literal["chest-ct", "brain-mr"]
NAMES: tuple[ScanName, ...] = ("chest-ct", "brain-mr")


def write_scan(name: ScanName, folder: Path) -> list[Path]:
    """Write a bundled series, a file for each slice, uncompressed in Explicit VR Little Endian.

    Inside the package the slices are kept as JPEG-LS (lossless) in a zip; their licence lies beside it.

    Args:
        name: "chest-ct" (48 slices of 512 x 512) or "brain-mr" (25 slices of 256 x 256).
        folder: Made when it does not exist.

    Returns:
        The files, in slice order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = files("medaet.demo").joinpath("data", f"{name}.zip")
    written = []
    with archive.open("rb") as stream, zipfile.ZipFile(stream) as members:
        for number, member in enumerate(sorted(members.namelist()), start=1):
            dataset = pydicom.dcmread(io.BytesIO(members.read(member)))
            dataset.decompress(generate_instance_uid=False)
            assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
            written.append(folder / f"{number:04}.dcm")
            dataset.save_as(written[-1], enforce_file_format=True)
    return written


def main() -> None:
    """Write a bundled series."""
    parser = argparse.ArgumentParser(prog="medaet.demo.scans")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    write_scan(options.name, options.folder)


if __name__ == "__main__":
    main()
