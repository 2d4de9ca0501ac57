"""What all tables of medaet.toml have in common: their base, and the names that values follow."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

AETitle = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$"),
]
"""An AE title: 1 to 16 printable ASCII characters without a backslash (PS3.5 §6.2, VR AE)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A name of ours: lower case letters, digits, hyphen and underscore."""

Fingerprint = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[0-9a-fA-F]{64}$"),
    BeforeValidator(lambda value: value.replace(":", "") if isinstance(value, str) else value),
]
"""SHA-256 of a certificate in hexadecimal, as `openssl x509 -noout -fingerprint -sha256` shows it."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A table of the file: frozen, and a key that is not listed here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
