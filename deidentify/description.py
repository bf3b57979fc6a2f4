"""What a case shows of an instance, read from what will be written."""

from deidentify.charsets import DEFAULT, charset_of
from deidentify.dataset import Element, ReceivedInstance, find, text_of
from deidentify.pseudonyms import age_band
from deidentify.results import AgeBand, Description


def describe(elements: list[Element], received: ReceivedInstance, *, has_pixels: bool) -> Description:
    """Return the description; age band and sex are the only things taken from the original."""
    by_tag = {element.tag: element for element in elements}
    charset_element = by_tag.get(0x00080005)
    charset = charset_of(charset_element.value) if charset_element else DEFAULT

    def text(tag: int) -> str:
        element = by_tag.get(tag)
        return "" if element is None or element.items is not None else charset.decode(element.value).strip(" \0")

    band = age_band(received.text(0x00101010), received.text(0x00100030), received.text(0x00080020))
    sex = received.text(0x00100040)
    frames = _integer(text(0x00280008))
    position, orientation = _geometry(elements)
    little = received.encoding.little
    return Description(
        study_instance_uid=text(0x0020000D),
        series_instance_uid=text(0x0020000E),
        sop_instance_uid=text(0x00080018),
        sop_class_uid=text(0x00080016),
        transfer_syntax_uid=received.transfer_syntax_uid,
        modality=text(0x00080060),
        series_number=_integer(text(0x00200011)),
        instance_number=_integer(text(0x00200013)),
        frames=max(1, frames or 1) if has_pixels else 0,
        rows=_unsigned(by_tag.get(0x00280010), little),
        columns=_unsigned(by_tag.get(0x00280011), little),
        has_pixels=has_pixels,
        age_band=AgeBand(band),
        sex=sex if sex in {"M", "F", "O"} else "",
        study_day=text(0x00080020),
        study_description=text(0x00081030),
        series_description=text(0x0008103E),
        body_part=text(0x00180015),
        laterality=text(0x00200060) or text(0x00200062),
        position=position,
        orientation=orientation,
    )


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _unsigned(element: Element | None, little: bool) -> int:
    if element is None or len(element.value) < 2:  # noqa: PLR2004 - one US
        return 0
    return int.from_bytes(element.value[:2], "little" if little else "big")


Position = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]


def _geometry(elements: list[Element]) -> tuple[Position | None, Orientation | None]:
    """Return Image Position and Orientation (Patient), of the first frame in multi-frame objects."""
    found: dict[int, list[float]] = {}
    groups = [elements, *_first_items(elements, 0x52009229), *_first_items(elements, 0x52009230)]
    for group in groups:
        for level in (group, *_first_items(group, 0x00209113), *_first_items(group, 0x00209116)):
            for tag, count in ((0x00200032, 3), (0x00200037, 6)):
                values = _numbers(text_of(level, tag))
                if tag not in found and len(values) == count:
                    found[tag] = values
    position, orientation = found.get(0x00200032), found.get(0x00200037)
    return (
        (position[0], position[1], position[2]) if position else None,
        (orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5])
        if orientation
        else None,
    )


def _first_items(elements: list[Element], tag: int) -> list[list[Element]]:
    element = find(elements, tag)
    return element.items[:1] if element is not None and element.items else []


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split("\\")] if text else []
    except ValueError:
        return []
