"""The layouts of volumes: a scan is the files of its sequences and of its truth."""
