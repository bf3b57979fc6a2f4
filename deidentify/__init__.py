"""From an identified instance to a de-identified one with a report, or to a hold with a reason. Knows no other room."""
