"""`python -m tumorline` and `torchrun -m tumorline` are the command `tumorline`."""

from tumorline.cli import main

main()
