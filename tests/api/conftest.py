"""Fixtures of the API's tests: a real database, a real blob folder, and clients that speak HTTP to the application."""

import warnings

with warnings.catch_warnings():
    # Starlette recommends another HTTP client at import; it says nothing about our code
    warnings.filterwarnings("ignore", message=r".*httpx.*", category=Warning)
    import starlette.testclient  # noqa: F401
