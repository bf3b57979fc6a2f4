"""What is taken away of a case: its files and texts under names that people understand, as an archive or a folder."""
