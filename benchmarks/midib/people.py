"""People who do not exist, with all that a hospital writes down of them, from several cultures and character sets."""

# ruff: noqa: RUF001 - names are in the letters that they are written in

import datetime as dt
import random
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Kind", "Person", "Secret", "made_up_person"]


class Kind(StrEnum):
    """What a planted identifier is."""

    NAME = "name"
    ADDRESS = "address"
    PHONE = "phone"
    MAIL = "e-mail"
    RECORD = "record number"
    DATE = "date"
    PLACE = "institution"
    DEVICE = "device"
    UID = "UID"


@dataclass(frozen=True, slots=True)
class Secret:
    """One planted identifier, as it must not be found anywhere in what comes out."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Culture:
    """Names and places, and the character set (0008,0005) of whoever writes them."""

    charset: str | list[str]
    families: tuple[str, ...]
    givens: tuple[str, ...]
    streets: tuple[str, ...]
    """With ``#`` for the number of the house."""
    towns: tuple[str, ...]
    hospitals: tuple[str, ...]
    """Each a secret word and how it is written."""
    date: str
    phone: str
    """Digits are drawn for ``#``."""
    ideographic: tuple[tuple[str, str], ...] = ()
    """Ideographic and phonetic spellings of whole names, chosen beside the alphabetic one."""


CULTURES = {
    "english": Culture(
        charset="ISO_IR 100",
        families=("Okonkwo", "Featherstone", "Ramaswamy", "Pettigrew", "O'Shaughnessy", "Blenkinsop", "Young", "Brown"),
        givens=("Rosalind", "Terrence", "Adaeze", "Winifred", "Desmond", "Philippa"),
        streets=("# Rowan Crescent", "# Kestrel Close", "Flat 4, # Mulberry Way", "# Church Road"),
        towns=("Ashbourne", "Tewkesbury", "Llandrindod", "Poughkeepsie"),
        hospitals=("Brackenfield|Brackenfield General Hospital", "Ardmore|Ardmore Infirmary"),
        date="%m/%d/%Y",
        phone="(0##) ###-####",
    ),
    "german": Culture(
        charset="ISO_IR 100",
        families=("Müllerschön", "Großkopf", "Achterberg", "von Zitzewitz", "Lindenlaub", "Schäuffelen"),
        givens=("Hannelore", "Jörg-Uwe", "Friederike", "Dietlinde", "Ekkehard"),
        streets=("Ahornweg #", "Kirchgasse # b", "Am Schießstand #", "Röntgenstr. #"),
        towns=("Ostertalbach", "Weißenhorn", "Quedlinburg", "Oberammerhofen"),
        hospitals=("Ostertal|Klinikum Ostertal", "Hildegardis|St.-Hildegardis-Krankenhaus"),
        date="%d.%m.%Y",
        phone="0##1/######",
    ),
    "french": Culture(
        charset="ISO_IR 100",
        families=("Lefèvre-Dumont", "Quatremère", "Beauregard", "Hallouin"),
        givens=("Maëlle", "Anne-Sophie", "Théophile", "Gwenaëlle"),
        streets=("#, rue des Tilleuls", "# bis, avenue Gambetta"),
        towns=("Châteaudun", "Pontivy", "Carcassonne"),
        hospitals=("Sainte-Aurore|Clinique Sainte-Aurore",),
        date="%d/%m/%Y",
        phone="0# ## ## ## ##",
    ),
    "spanish": Culture(
        charset="ISO_IR 100",
        families=("Etxeberria Núñez", "Villanueva Ibáñez", "Quiñones"),
        givens=("Itziar", "Maximiliano", "Encarnación"),
        streets=("Calle del Olmo #, 3º", "Avda. Libertadores #"),
        towns=("Majadahonda", "Ponferrada"),
        hospitals=("Valdelagua|Hospital Valdelagua",),
        date="%d-%m-%Y",
        phone="+34 9## ## ## ##",
    ),
    "polish": Culture(
        charset="ISO_IR 101",
        families=("Wiśniowiecka", "Brzęczyszczykiewicz", "Dąbrowicz"),
        givens=("Małgorzata", "Świętosław", "Jadwiga"),
        streets=("ul. Źródlana #",),
        towns=("Szczebrzeszyn", "Łomża"),
        hospitals=("Podgórze|Szpital Podgórze",),
        date="%d.%m.%Y",
        phone="+48 ## ### ## ##",
    ),
    "turkish": Culture(
        charset="ISO_IR 148",
        families=("Yıldırımoğlu", "Çetinkaya"),
        givens=("Gülşen", "Şükrü"),
        streets=("Çınar Sk. No:#",),
        towns=("Eskişehir",),
        hospitals=("Güneşli|Güneşli Hastanesi",),
        date="%d.%m.%Y",
        phone="+90 3## ### ## ##",
    ),
    "russian": Culture(
        charset="ISO_IR 144",
        families=("Воскресенская", "Чернышёв"),
        givens=("Аграфена", "Всеволод"),
        streets=("ул. Берёзовая, #",),
        towns=("Переславль",),
        hospitals=("Заречная|Заречная больница",),
        date="%d.%m.%Y",
        phone="+7 49# ###-##-##",
    ),
    "greek": Culture(
        charset="ISO_IR 126",
        families=("Παπαχρήστου", "Καραγιάννης"),
        givens=("Ευφροσύνη", "Αριστείδης"),
        streets=("Οδός Ερμού #",),
        towns=("Καλαμάτα",),
        hospitals=("Ασκληπιείο|Ασκληπιείο Βορρά",),
        date="%d/%m/%Y",
        phone="+30 2## ### ####",
    ),
    "arabic": Culture(
        charset="ISO_IR 127",
        families=("القحطاني",),
        givens=("عبدالرحمن", "مريم"),
        streets=("شارع النخيل #",),
        towns=("الطائف",),
        hospitals=("الواحة|مستشفى الواحة",),
        date="%d/%m/%Y",
        phone="+966 1# ### ####",
    ),
    "japanese": Culture(
        charset=["", "ISO 2022 IR 87"],
        families=("Tokugawayama", "Mizushiro"),
        givens=("Harukazu", "Sayuri"),
        streets=("Midorigaoka #-2-9",),
        towns=("Takayamashi",),
        hospitals=("Sakuradai|Sakuradai Byoin",),
        date="%Y/%m/%d",
        phone="03-####-####",
        ideographic=(("徳川山^晴一", "とくがわやま^はるかず"), ("水城^小百合", "みずしろ^さゆり")),
    ),
    "korean": Culture(
        charset="ISO_IR 192",
        families=("Hwangbo", "Namgoong"),
        givens=("Seoyeon", "Minjun"),
        streets=("Haneul-ro #",),
        towns=("Gangneung",),
        hospitals=("Haneulsol|Haneulsol Hospital",),
        date="%Y.%m.%d",
        phone="02-###-####",
        ideographic=(("皇甫^瑞妍", "황보^서연"), ("南宮^民俊", "남궁^민준")),
    ),
    "chinese": Culture(
        charset="GB18030",
        families=("Ouyang", "Shangguan"),
        givens=("Xiaoling", "Zhiqiang"),
        streets=("梧桐路#号",),
        towns=("临江镇",),
        hospitals=("青松岭|青松岭医院",),
        date="%Y-%m-%d",
        phone="0##-########",
        ideographic=(("欧阳^晓玲", ""), ("上官^志强", "")),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody made up; ``secrets`` is all of them that must go."""

    culture: str
    charset: str | list[str]
    dicom_name: str
    family: str
    given: str
    birth: dt.date
    birth_text: str
    date_format: str
    street: str
    town: str
    phone: str
    mail: str
    record: str
    other_record: str
    accession: str
    study_id: str
    hospital: str
    place: str
    """The word of the hospital's name that tells which it is."""
    department: str
    station: str
    serial: str
    doctors: tuple[tuple[str, str], ...]
    """Family and given names of staff."""
    relative: str
    secrets: tuple[Secret, ...]


def _digits(rng: random.Random, pattern: str) -> str:
    return "".join(str(rng.randrange(1, 10)) if character == "#" else character for character in pattern)


def _ascii(text: str) -> str:
    """Return the letters of a name as a mail address or a station has them."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(character for character in plain if character.isalnum()).lower()


def _words(text: str, kind: Kind) -> list[Secret]:
    words = text.replace("^", " ").replace("-", " ").split()
    return [Secret(word, kind) for word in words if len(word) > 1 and word not in {"von", "van", "de"}]


def made_up_person(rng: random.Random, avoid: str = "", culture: str = "") -> Person:
    """Return somebody none of whose names stands in `avoid`, the lower-case text of the files they are planted in."""
    for _ in range(200):
        person = _person(rng, culture or rng.choice(list(CULTURES)))
        if not any(secret.text.lower() in avoid for secret in person.secrets):
            return person
        culture = ""
    raise RuntimeError("no name was found that does not stand in the files already")


def _person(rng: random.Random, name: str) -> Person:
    culture = CULTURES[name]
    family, given = rng.choice(culture.families), rng.choice(culture.givens)
    dicom_name, ideographic = f"{family}^{given}", ""
    if culture.ideographic:
        index = culture.families.index(family) % len(culture.ideographic)
        given = culture.givens[index]
        ideographic, phonetic = culture.ideographic[index]
        dicom_name = f"{family}^{given}={ideographic}" + (f"={phonetic}" if phonetic else "")
    birth = dt.date(1930, 1, 1) + dt.timedelta(days=rng.randrange(80 * 365))
    street = rng.choice(culture.streets).replace("#", str(rng.randrange(2, 99)))
    town = rng.choice(culture.towns)
    phone = _digits(rng, culture.phone)
    mail = f"{_ascii(given) or 'contact'}.{_ascii(family) or 'family'}{rng.randrange(10, 99)}@mailbox.example"
    record, other = _digits(rng, "########"), f"{rng.choice('KMPX')}{_digits(rng, '######')}-{rng.randrange(10)}"
    accession, study_id = f"{rng.choice('ABR')}{_digits(rng, '########')}", _digits(rng, "######")
    word, _, hospital = rng.choice(culture.hospitals).partition("|")
    serial = f"{rng.choice('SNGH')}{_digits(rng, '#####')}{rng.choice('AEK')}{_digits(rng, '##')}"
    station = f"{(_ascii(word) or 'nordbau')[:8].upper()}{rng.choice(('CT', 'MR', 'WS'))}{rng.randrange(1, 9)}"
    others = [one for one in CULTURES["english"].families + CULTURES["german"].families if one[:4] not in family]
    latin = culture.charset in ("ISO_IR 100", "ISO_IR 192")
    staff_names = [one for one in others if latin or one.isascii()]
    doctors = tuple(
        (one, rng.choice(("Rosalind", "Terrence", "Desmond", "Ekkehard", "Dietlinde")))
        for one in rng.sample(staff_names, 3)
    )
    relative = rng.choice(("Barnaby", "Clementine", "Leopold", "Henrietta"))
    secrets = [
        *_words(family, Kind.NAME),
        *_words(given, Kind.NAME),
        *_words(ideographic, Kind.NAME),
        *(Secret(part, Kind.NAME) for pair in doctors for part in pair),
        Secret(relative, Kind.NAME),
        Secret(birth.strftime("%Y%m%d"), Kind.DATE),
        Secret(birth.strftime(culture.date), Kind.DATE),
        Secret(street, Kind.ADDRESS),
        Secret(town, Kind.ADDRESS),
        Secret(phone, Kind.PHONE),
        Secret(mail, Kind.MAIL),
        *(Secret(one, Kind.RECORD) for one in (record, other, accession, study_id)),
        Secret(word, Kind.PLACE),
        Secret(serial, Kind.DEVICE),
        Secret(station, Kind.DEVICE),
    ]
    return Person(
        culture=name,
        charset=culture.charset,
        dicom_name=dicom_name,
        family=family,
        given=given,
        birth=birth,
        birth_text=birth.strftime(culture.date),
        date_format=culture.date,
        street=street,
        town=town,
        phone=phone,
        mail=mail,
        record=record,
        other_record=other,
        accession=accession,
        study_id=study_id,
        hospital=hospital,
        place=word,
        department=f"{word} Radiology",
        station=station,
        serial=serial,
        doctors=doctors,
        relative=relative,
        secrets=tuple(dict.fromkeys(secrets)),
    )
