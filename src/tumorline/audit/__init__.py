"""What is wrong with a data set, what crosses its split, what two sets share, and what a set is like."""
