"""DICOM series and their segmentations become a set of NIfTI files."""
