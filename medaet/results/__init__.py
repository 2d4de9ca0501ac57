"""Findings as DICOM SOP instances, and the proof that they are right."""
