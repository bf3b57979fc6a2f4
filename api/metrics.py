"""``/metrics`` in Prometheus' text format: counts of requests and of the program, no identifiers, few label values."""

import re
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from api.limits import Budget
from api.ports import Measurement, MetricsSource

CONTENT_TYPE = CONTENT_TYPE_LATEST
MAX_LABEL_SETS = 64
"""Label sets that one figure may have: more are left out, since each one is a time series kept for ever."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NAME = re.compile(r"casebridge_[a-z][a-z0-9_]{0,90}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,40}")


class AppMetrics:
    """The figures of one application, in a registry of its own so that two applications never meet."""

    def __init__(self, sources: Iterable[MetricsSource]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "casebridge_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._duration = Histogram(
            "casebridge_http_request_duration_seconds",
            "Time until an HTTP answer was complete.",
            ["method", "route"],
            registry=self._registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0),
        )
        self._refused = Counter(
            "casebridge_http_calls_refused",
            "HTTP calls refused because there were too many, by the limit that they met.",
            ["limit"],
            registry=self._registry,
        )
        self._sources = tuple(sources)
        self._registry.register(self)

    def answered(self, *, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one answer; ``route`` is the template, never the path, and ``method`` a ``method_label``."""
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(duration_s)

    def refused(self, budget: Budget) -> None:
        """Count a call that was one too many; whose it was is not kept."""
        self._refused.labels(budget.value).inc()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of the sources; a source that fails is counted and costs none of the others."""
        families: dict[str, GaugeMetricFamily] = {}
        failed = 0
        for source in self._sources:
            try:
                measurements = list(source.measurements())
            except Exception:  # noqa: BLE001 - figures of a failing part must not take the others' away
                failed += 1
                continue
            for measurement in measurements:
                _add(families, measurement)
        yield from families.values()
        yield GaugeMetricFamily("casebridge_metrics_sources_failed", "Sources that gave no figures.", value=failed)


def method_label(method: str) -> str:
    """Return a method of HTTP as it is, and anything else as "other": the caller chose its letters."""
    return method if method in _METHODS else "other"


def _add(families: dict[str, GaugeMetricFamily], measurement: Measurement) -> None:
    """Add one figure, unless its name or a label is not a plain word: such a one could carry a value."""
    names = sorted(measurement.labels)
    values = [measurement.labels[name] for name in names]
    if not _NAME.fullmatch(measurement.name) or not all(map(_LABEL.fullmatch, [*names, *values])):
        return
    family = families.setdefault(measurement.name, GaugeMetricFamily(measurement.name, measurement.help, labels=names))
    if len(family.samples) < MAX_LABEL_SETS:
        family.add_metric(values, measurement.value)
