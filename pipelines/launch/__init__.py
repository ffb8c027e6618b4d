"""Runs elsewhere: the same phases as scripts of shares, by a shell or by Slurm."""
