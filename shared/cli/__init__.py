"""The `goldsmith` command: a user of the contracts, like anyone else."""
