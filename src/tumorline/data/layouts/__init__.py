"""The layouts that a source may have, a module for each, and what several of them need."""
