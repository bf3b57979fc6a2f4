"""scp room."""
