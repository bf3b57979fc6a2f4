import json
import subprocess
import sys

PROGRAM = """
import logging, warnings
from bridge.logs import configure_logging
configure_logging("INFO", process="test")
ours = logging.getLogger("casebridge.somewhere")
ours.info("something happened", extra={"count": 3})
def fails():
    raise ValueError("Doe^Jane is secret")
try:
    fails()
except ValueError:
    ours.exception("a step failed")
logging.getLogger("pydicom").error("value %s", "Doe^Jane")
logging.getLogger("sqlalchemy.engine").warning("parameters %s", "Doe^Jane")
logging.getLogger("other").warning("said Doe^Jane", exc_info=ValueError("Doe^Jane"))
warnings.warn("Invalid value Doe^Jane")
"""


def lines():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr, [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_json_with_time_level_and_process():
    _, parsed = lines()
    assert all({"time", "level", "logger", "message", "process"} <= set(line) for line in parsed)
    assert parsed[0]["count"] == 3


def test_neither_exceptions_nor_other_libraries_nor_warnings_bring_a_value_into_the_log():
    text, _ = lines()
    assert "Doe" not in text


def test_an_exception_shows_its_type_and_the_places_it_passed():
    _, parsed = lines()
    failed = next(line for line in parsed if line["message"] == "a step failed")
    assert failed["exc_info"].startswith("ValueError at fails:")


def test_another_librarys_record_keeps_its_place():
    _, parsed = lines()
    other = next(line for line in parsed if line["logger"] == "other")
    assert "place" in other
    assert other["exc_info"].startswith("ValueError")
