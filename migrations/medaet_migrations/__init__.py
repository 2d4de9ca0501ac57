"""Every change of the schema, oldest first; `medaet db upgrade` runs those that are missing."""
