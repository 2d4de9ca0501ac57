"""Benchmarks beside peers: what this machine does, in ratios of one interleaved run."""
