"""Masks as files and outlines hold them, as booleans."""
