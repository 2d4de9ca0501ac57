"""Inference engines: one network, several programs that can run it."""
