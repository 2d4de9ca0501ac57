"""Registration on the device: which motion of one image makes it agree with another."""
