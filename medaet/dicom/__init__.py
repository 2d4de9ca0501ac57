"""What MedAET knows about DICOM data: names, codes, geometry, volumes. No network, no database."""
