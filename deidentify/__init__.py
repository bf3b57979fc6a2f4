"""deidentify room."""
