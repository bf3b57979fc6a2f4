"""The names under which workers are known to each other."""

LEASE_PREFIX = "worker:"
