"""Teaching cases and what arrived for them: the model, its states, the one database, the blobs."""
