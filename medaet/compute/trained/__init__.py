"""Trained networks: what inference must repeat of their training, and nothing of how they were trained."""
