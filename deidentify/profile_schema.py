"""The profile language as a JSON Schema, for editors: what may stand where. What contradicts itself we alone tell."""

from typing import Any

from deidentify.actions import ALL_CODES
from deidentify.condition_text import CONDITION_KEYS
from deidentify.dictionary import vr_table
from deidentify.pixel_policy import Faces, OutsideRegions
from deidentify.pixel_text import (
    LONGEST_WORD,
    MOST_PIXEL_WORDS,
    PIXEL_KEYS,
    SCREEN,
    SHORTEST_WORD,
    TEXT_FATES,
)
from deidentify.profile_text import AGES, DROPPABLE, KEYS, MOST_WORDS, NAME, OPTIONS, POLICIES
from deidentify.recipe_document import FILE_NAME, MOST_OF_A_REASON, RECIPE_KEYS
from deidentify.rule_text import MOST_RULES, PRIVATE_VRS, RULE_KEYS, SELECTORS
from deidentify.rules import MOST_OF_A_PATTERN

_TAG = {"type": "string", "pattern": r"^\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)$"}
_TAGS = {"type": "string", "pattern": r"^\([0-9A-Fa-fxX]{4},[0-9A-Fa-fxX]{4}\)$"}
_KEYWORD = {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]*$"}
_SENTENCE = {"type": "string", "minLength": 1}
_WORD = {"type": ["string", "number", "boolean"], "minLength": 1}


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Casebridge de-identification profile",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "base"],
        "properties": {key: _properties()[key] for key in KEYS},
        "$defs": {
            "rule": _rule(),
            "condition": _condition(),
            "conditions": _one_or_more({"$ref": "#/$defs/condition"}),
        },
    }


def _properties() -> dict[str, Any]:
    policies = {key: {"enum": list(values)} for key, values in POLICIES.items()}
    classes = {"type": "array", "items": {"anyOf": [{"enum": list(DROPPABLE)}, {"type": "string"}]}}
    return {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "description": {"type": "string"},
        "base": {"type": "string", "description": "basic, or the name of a profile to build on"},
        "recipe": _recipe(),
        "options": {"type": "array", "items": {"enum": list(OPTIONS)}, "uniqueItems": True},
        "rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}, "maxItems": MOST_RULES},
        "vocabulary": {"type": "array", "items": _WORD, "maxItems": MOST_WORDS},
        "age": {"enum": list(AGES)},
        "sop_classes": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"drop": classes, "hold": classes, "keep": classes},
        },
        "hold": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["reason", "when"],
                "properties": {"name": _SENTENCE, "reason": _SENTENCE, "when": {"$ref": "#/$defs/conditions"}},
            },
        },
        **(policies | {"pixels": _pixels()}),
    }


def _pixels() -> dict[str, Any]:
    word = {"type": "string", "minLength": SHORTEST_WORD, "maxLength": LONGEST_WORD}
    properties: dict[str, Any] = {
        "text": {"enum": list(TEXT_FATES)},
        "outside_ultrasound_regions": {"enum": list(map(str, OutsideRegions))},
        # An editor takes yes for a word or for a truth value, by the version of YAML that it knows.
        "device_masks": {"enum": [True, False, "yes", "no"]},
        "faces": {"enum": list(map(str, Faces))},
        "words": {"type": "array", "items": word, "maxItems": MOST_PIXEL_WORDS},
    }
    mapping = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: properties[key] for key in PIXEL_KEYS},
    }
    return {"anyOf": [{"enum": [SCREEN]}, mapping]}


def _recipe() -> dict[str, Any]:
    file = {"type": "string", "pattern": f"^{FILE_NAME.pattern}$"}
    properties: dict[str, Any] = {
        "file": file,
        "allow_loosening": {"type": "string", "minLength": 1, "maxLength": MOST_OF_A_REASON},
    }
    mapping = {
        "type": "object",
        "additionalProperties": False,
        "required": ["file"],
        "properties": {key: properties[key] for key in RECIPE_KEYS},
    }
    return {"anyOf": [file, mapping]}


def _rule() -> dict[str, Any]:
    vrs = {"enum": sorted(set(vr_table().values()))}
    properties: dict[str, Any] = {
        "tag": _TAGS,
        "keyword": _KEYWORD,
        "vr": {"anyOf": [vrs, {"type": "array", "items": vrs, "minItems": 1}]},
        "private": {
            "type": "object",
            "additionalProperties": False,
            "required": ["creator"],
            "properties": {
                "creator": {"type": "string", "maxLength": 64},
                "element": {
                    "type": "string",
                    "pattern": r"^\([0-9A-Fa-f]{3}[13579BDFbdf],(xx|XX|[0-9A-Fa-f]{2})[0-9A-Fa-f]{2}\)$",
                },
                "vr": {"enum": list(PRIVATE_VRS)},
            },
        },
        "action": {"enum": sorted(map(str, ALL_CODES))},
        "reason": _SENTENCE,
        "inside": {"type": "array", "items": {"anyOf": [_TAG, _KEYWORD]}},
        "only": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "modality": _one_or_more({"type": "string", "pattern": "^[A-Z0-9_]{1,16}$"}),
                "sop_class": _one_or_more({"type": "string"}),
            },
        },
        "when": {"$ref": "#/$defs/conditions"},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["action", "reason"],
        "oneOf": [{"required": [selector]} for selector in SELECTORS],
        "properties": {key: properties[key] for key in RULE_KEYS},
    }


def _condition() -> dict[str, Any]:
    properties: dict[str, Any] = {
        "tag": _TAG,
        "keyword": _KEYWORD,
        "is": _one_or_more(_WORD),
        "contains": _one_or_more(_WORD),
        "matches": _one_or_more({"type": "string", "maxLength": MOST_OF_A_PATTERN}),
        "present": {"type": "boolean"},
        "not": {"type": "boolean"},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "allOf": [
            {"oneOf": [{"required": [key]} for key in keys]}
            for keys in (("tag", "keyword"), ("is", "contains", "matches", "present"))
        ],
        "properties": {key: properties[key] for key in CONDITION_KEYS},
    }


def _one_or_more(schema_of_one: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema_of_one, {"type": "array", "items": schema_of_one, "minItems": 1}]}
