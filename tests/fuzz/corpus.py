"""The inputs that fuzzing found worth keeping, in one file.

python -m tests.fuzz.corpus FOLDER
"""

import sys
import zipfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus.zip")
NO_DATE = (1980, 1, 1, 0, 0, 0)


def inputs() -> list[bytes]:
    """Read the corpus."""
    with zipfile.ZipFile(CORPUS) as archive:
        return [archive.read(name) for name in archive.namelist()]


def main() -> None:
    """Pack a folder of inputs; the same inputs make the same file."""
    with zipfile.ZipFile(CORPUS, "w") as archive:
        for path in sorted(Path(sys.argv[1]).iterdir()):
            entry = zipfile.ZipInfo(path.name, NO_DATE)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main()
