"""Talking to peers."""
