"""Folders of results: begun afresh or gone on with, and nothing of the user's in them is replaced."""
