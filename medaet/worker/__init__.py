"""The worker child: the process that owns the device and runs plugin code."""
