"""Data sets: from a source in a known layout to cases, to what decoding them shows, to the split by patient."""
