"""A small network that says where the big detector has to look: its data, its training and its score."""
