"""The subcommands of `bioplausible`, one a file; each imports what it needs when it is run."""
