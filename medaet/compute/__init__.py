"""The GPU half: devices, resampling, inference."""
