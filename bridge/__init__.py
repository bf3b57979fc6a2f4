"""bridge room."""
