"""DIMSE: accept associations, make instances durable in the spool, and send files for trials. Knows no other room."""
