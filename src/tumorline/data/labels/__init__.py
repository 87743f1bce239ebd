"""What the values of label maps mean."""
