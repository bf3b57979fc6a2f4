"""Draft teaching cases: the model, its states, the one database and the blobs. Holds keys and clean values only."""
