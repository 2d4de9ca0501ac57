"""Problems of an input that did not keep it from being read: what the reader of a report must know of it."""

from dataclasses import dataclass

from medaet.dicom.codes import Code


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        code: What kind of problem it is.
        text: A sentence for a person, without patient data.
    """

    code: Code
    text: str
