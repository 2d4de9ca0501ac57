"""The configuration of MedAET: one TOML file, checked as a whole."""
