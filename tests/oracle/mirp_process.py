"""mirp in a process of its own: it brings ITK, whose GDCM does not live beside pydicom's.

Reads keyword arguments of `extract_features` as a line of JSON, and answers with a line of JSON: columns and values.
"""

import contextlib
import json
import sys


def main() -> None:
    """Answer until standard input ends."""
    from mirp import extract_features

    answers = sys.stdout
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            (table,) = extract_features(**json.loads(line))
        row = {name: str(value) for name, value in table.iloc[0].to_dict().items()}
        answers.write(json.dumps(row) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
