"""Who is one patient: what the names of files and folders say, and what a model remembers of whom it has seen."""
