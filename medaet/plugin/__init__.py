"""The plugin contract: what an analysis declares, receives and returns."""
