"""What goes over the wire: every body and every answer, with examples."""
