"""The case viewer: one component for pages, the local app and notebooks, and the data that it takes."""
