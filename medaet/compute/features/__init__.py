"""Radiomic features after the Image Biomarker Standardisation Initiative, on the device that holds the image."""
