"""Tables and files that outlive a process."""

from medaet.store import matching_table  # noqa: F401 -- whoever asks for the schema gets all of it
