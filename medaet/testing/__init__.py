"""For our tests and for plugin authors' tests."""
