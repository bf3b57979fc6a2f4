"""The composition root: puts the rooms together, and is the command line."""
