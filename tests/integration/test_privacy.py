"""Planted values of patients, searched in everything that is not the spool's own originals."""

import contextlib
import http.client
import io
import json
import socket
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from bridge.consent import open_document
from scp.send import send
from tests.builders import (
    ROOT,
    code,
    ct_instance,
    mr_instance,
    secondary_capture_instance,
    sr_instance,
    uid,
    us_instance,
    write_part10,
)
from tests.integration.running import ADMIN_TOKEN, RunningBridge, eventually
from tests.integration.senders import settled, write_files
from tests.scp.wire import EXPLICIT, Peer, context_item

CT = "1.2.840.10008.5.1.4.1.1.2"
SENDER = "CANARYPACS"
BIRTH, STUDY_DAY, OTHER_DAY = "19350607", "20210413", "20180922"
ONE = {
    "PatientName": "Zwitschervogel^Kanaria^^Dr.",
    "PatientID": "KNR-558211",
    "PatientBirthDate": BIRTH,
    "OtherPatientIDsSequence": [{"PatientID": "ZWEITKNR-90441"}],
    "OtherPatientNames": "Vogelsang^Mädchenname",
    "PatientAddress": "Piepmatzweg 7714",
    "PatientTelephoneNumbers": "555-0188-7741",
    "PatientComments": "Zwitschervogel wohnt am Piepmatzweg",
    "EthnicGroup": "Kanarengruppe",
    "Occupation": "Vogelwartin",
    "MilitaryRank": "Oberflieger",
    "AccessionNumber": "AKZ-774411",
    "StudyID": "STID-66190",
    "ReferringPhysicianName": "Überweiserin^Ornitha",
    "OperatorsName": "Bedienerix^Paula",
    "InstitutionName": "Klinikum Volierenstadt",
    "InstitutionAddress": "Käfigallee 9931",
    "StationName": "STATVOL77",
    "DeviceSerialNumber": "SERIAL-VOL-8812",
    "RequestingService": "Federabteilung",
    "StudyDate": STUDY_DAY,
    "SeriesDate": STUDY_DAY,
    "AcquisitionDate": STUDY_DAY,
    "ContentDate": STUDY_DAY,
    "StudyDescription": "CT Abdomen Zwitschervogel",
    "SeriesDescription": "AX 5.0 Kanaria",
    "ProtocolName": "Volierenprotokoll",
    "ImageComments": "Befund von Frau Zwitschervogel",
    "AdditionalPatientHistory": "gestürzlings in Volierenstadt",
    "RequestAttributesSequence": [
        {
            "RequestedProcedureID": "RPID-31199",
            "RequestedProcedureDescription": "CT fuer Zwitschervogel",
            "ScheduledProcedureStepDescription": "Schrittkanarie",
        }
    ],
    "ReferencedStudySequence": [{"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": uid(9, 9, 771)}],
}
TWO = ONE | {
    "PatientName": "Sperlingsdotter^Fiktiva",
    "PatientID": "SPR-112277",
    "PatientBirthDate": OTHER_DAY,
}
SECOND: dict[str, Any] = dict(TWO)
PRIVATE_TEXT = "PRIVATGEZWITSCHER-5521"
OVERLAY_TEXT = "OVERLAYSPATZ"
MISFIT = "Missratenwert^1"
WORDS = (
    "zwitschervogel", "kanaria", "knr-558211", "zweitknr-90441", "vogelsang", "mädchenname", "piepmatzweg",
    "555-0188-7741", "kanarengruppe", "vogelwartin", "oberflieger", "akz-774411", "stid-66190", "überweiserin",
    "ornitha", "bedienerix", "volierenstadt", "käfigallee", "statvol77", "serial-vol-8812", "federabteilung",
    "volierenprotokoll", "gestürzlings", "rpid-31199", "schrittkanarie", "sperlingsdotter", "fiktiva", "spr-112277",
    "privatgezwitscher", "overlayspatz", "missratenwert", "dokumentenspatz", "preambelspatz", "metaspatz",
    "dozwitscher", "unterschriftsspatz",
)  # fmt: skip
DATES = tuple(
    form.format(day=day, year=day[:4], month=day[4:6], date=day[6:])
    for day in (BIRTH, STUDY_DAY, OTHER_DAY)
    for form in ("{day}", "{year}-{month}-{date}", "{date}.{month}.{year}")
)
CANARIES = frozenset(
    spelled
    for word in (*WORDS, *DATES, ROOT)
    for encoding in ("utf-8", "latin-1", "utf-16-le")
    for spelled in (word.encode(encoding),)
)


# -- what is planted -------------------------------------------------------------------------------------------------


def canary(make: Any, study: int, **attributes: Any) -> Dataset:
    """Return an instance of the first patient with private elements and an overlay."""
    instance: Dataset = make(study=study, **(ONE | {"SpecificCharacterSet": "ISO_IR 100"} | attributes))
    block = instance.private_block(0x0009, "VOLIERE 1.0", create=True)
    block.add_new(0x01, "LO", PRIVATE_TEXT)
    block.add_new(0x02, "UN", PRIVATE_TEXT.encode())
    nested = Dataset()
    nested.PatientName = ONE["PatientName"]
    block.add_new(0x03, "SQ", [nested])
    instance.add_new(0x60000010, "US", 16)
    instance.add_new(0x60000011, "US", 16)
    instance.add_new(0x60000022, "LO", OVERLAY_TEXT)
    instance.add_new(0x60000040, "CS", "G")
    instance.add_new(0x60000050, "SS", [1, 1])
    instance.add_new(0x60000100, "US", 1)
    instance.add_new(0x60000102, "US", 0)
    instance.add_new(0x60003000, "OW", OVERLAY_TEXT.encode().ljust(32, b"\0"))
    return instance


def burned_in(study: int, rows: int = 72) -> Dataset:
    """Return a capture with the patient's name in its pixels, over so much of it that a person has to look."""
    picture = Image.new("L", (320, rows), 20)
    ImageDraw.Draw(picture).text((20, 20), "Zwitschervogel", fill=235, font=ImageFont.load_default(28))
    return canary(secondary_capture_instance, study, rows=rows, columns=320, PixelData=np.asarray(picture).tobytes())


def blackened(study: int) -> Dataset:
    """Return a capture with the patient's name in a corner of its pixels, which becomes black by itself."""
    return burned_in(study, rows=320)


def misfits(study: int) -> list[bytes]:
    """Return objects whose numbers, dates and codes hold text: what a library would quote when it stumbles."""
    made = []
    for number, tag in enumerate((0x00200013, 0x00200032, 0x00281053, 0x00080020, 0x00101010, 0x00080008), 1):
        instance = canary(ct_instance, study, number=number)
        whole = write_part10(instance)
        element = instance.get(tag)
        vr = {0x00200013: "IS", 0x00200032: "DS", 0x00281053: "DS", 0x00080020: "DA", 0x00101010: "AS"}.get(tag, "CS")
        new = vr.encode() + (len(MISFIT) + 1).to_bytes(2, "little") + f"{MISFIT} ".encode()
        label = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        if element is None:
            continue
        at = whole.index(label + vr.encode(), 200)
        length = int.from_bytes(whole[at + 6 : at + 8], "little")
        made.append(whole[: at + 4] + new + whole[at + 8 + length :])
    return made


def planted() -> list[Dataset | bytes]:
    """Return everything that is sent with Success: filed, held and dropped."""
    other_pixels = canary(ct_instance, 7)
    other_pixels.PixelData = bytes(value ^ 1 for value in other_pixels.PixelData)
    document = canary(secondary_capture_instance, 8, PixelData=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    document.EncapsulatedDocument = b"%PDF-1.4 DOKUMENTENSPATZ"
    dose = canary(sr_instance, 9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67")
    report = canary(
        sr_instance,
        10,
        ContentSequence=[
            {
                "RelationshipType": "CONTAINS",
                "ValueType": "TEXT",
                "ConceptNameCodeSequence": [code("121071", "DCM", "Finding")],
                "TextValue": "Frau Zwitschervogel aus Volierenstadt, geboren 07.06.1935",
            },
            {
                "RelationshipType": "CONTAINS",
                "ValueType": "DATE",
                "ConceptNameCodeSequence": [code("111060", "DCM", "Study Date")],
                "Date": STUDY_DAY,
            },
        ],
    )
    utf8 = canary(mr_instance, 11, SpecificCharacterSet="ISO_IR 192")
    return [
        *(canary(ct_instance, 1, series=series, number=number) for series in (1, 2) for number in (1, 2)),
        canary(mr_instance, 2),
        canary(us_instance, 3),
        burned_in(4),
        write_part10(canary(ct_instance, 5), transfer_syntax=JPEG2000Lossless, frames=[b"\xff\x4fPRIVATGEZWITSCHER"]),
        canary(ct_instance, 5, number=2, PixelData=None),
        write_part10(canary(ct_instance, 5, number=3))[:-300],
        write_part10(canary(ct_instance, 5, number=4))[:-700],
        canary(ct_instance, 6),
        ct_instance(study=6, number=2, **SECOND),
        canary(ct_instance, 7),
        other_pixels,
        document,
        dose,
        report,
        utf8,
        canary(ct_instance, 12, SOPClassUID="1.3.46.670589.2.4.1.1"),
        write_part10(canary(ct_instance, 13), transfer_syntax=DeflatedExplicitVRLittleEndian),
        write_part10(
            canary(ct_instance, 14),
            preamble=b"PREAMBELSPATZ".ljust(128, b"\0"),
            SourceApplicationEntityTitle="METASPATZ",
        ),
        blackened(16),
        *misfits(15),
    ]


def refused(bridge: RunningBridge) -> list[int]:
    """Send what is refused and return the statuses."""
    whole = write_part10(canary(ct_instance, 20))
    data = whole[144 + int.from_bytes(whole[140:144], "little") :]
    answers = []
    with Peer(bridge.dicom_port) as peer:
        peer.associate(context_item(1, CT, EXPLICIT), calling=SENDER.encode())
        for sop_class, instance, content in (
            (CT, uid(20, 1, 99), data),
            (
                CT,
                uid(20, 1, 1),
                data.replace(uid(20).encode(), b"Zwitschervogel^Kanaria".ljust(len(uid(20)))[: len(uid(20))]),
            ),
            (CT, "Zwitschervogel", data),
            (CT, uid(20, 1, 1), b"DOZWITSCHER" * 40),
        ):
            answer = peer.store(1, sop_class, instance, content)
            answers.append(answer.status)
            assert not found_in(answer.comment.encode())
        peer.release()
    return answers


# -- where it is searched --------------------------------------------------------------------------------------------


def found_in(content: bytes) -> set[str]:
    """Return the planted values in some bytes."""
    lowered = content.lower()
    return {word.decode("latin-1") for word in CANARIES if word in content or word in lowered}


@dataclass(frozen=True)
class Planted:
    """A bridge that worked through all that was planted, and what was seen of its spool before."""

    bridge: RunningBridge
    journals: dict[str, bytes]
    names: list[str]
    modes: dict[str, int]


CONSENT_KEY = X25519PrivateKey.generate()
CONSENT = b"%PDF-1.7 UNTERSCHRIFTSSPATZ, Zwitschervogel^Kanaria"
CONSENTED: list[str] = []
"""The case that the document of a consent was sent for."""
ERRANDS: dict[str, str] = {}
"""Kind and id of what the running bridge was asked to do with originals."""


@pytest.fixture(scope="module")
def planted_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("privacy")
    objects = write_files(folder / "objects", planted())
    public = CONSENT_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "consent.pem").write_bytes(public)
    settings = {
        "CASEBRIDGE_LOG_LEVEL": "DEBUG",
        "CASEBRIDGE_AE_TITLE": "CASEBRIDGE",
        "CASEBRIDGE_CONSENT_KEY_FILE": str(folder / "consent.pem"),
    }
    receiver = RunningBridge(data_dir=folder / "data", environment=settings, command=("scp",))
    receiver.start(wait=False)
    try:
        eventually(lambda: listens(receiver.dicom_port), within_s=30, what="the receiver listens")
        summary = send([objects], host="127.0.0.1", port=receiver.dicom_port, called_ae="CASEBRIDGE", calling_ae=SENDER)
        assert summary.is_complete, summary.reasons
        assert all(refused(receiver))
        with Peer(receiver.dicom_port) as peer:
            peer.associate(context_item(1, CT, EXPLICIT), calling=SENDER.encode(), called=b"SOMEBODY")
    finally:
        receiver.stop()
    spool = folder / "data" / "spool"
    journals = {str(path.relative_to(spool)): path.read_bytes() for path in spool.glob("journal/**/*.jsonl")}
    names = [str(path.relative_to(folder)) for path in (folder / "data").rglob("*")]
    bridge = RunningBridge(data_dir=folder / "data", environment=settings)
    try:
        bridge.start()
        settled(bridge, SENDER, len(list(objects.iterdir())), within_s=180)
        eventually(lambda: not list(spool.glob("journal/*.jsonl")), within_s=30, what="the journals are taken over")
        run_errands(bridge)
        CONSENTED.append(send_consent(bridge))
        modes = {
            str(path.relative_to(spool)): stat.S_IMODE(path.stat().st_mode) | stat.S_IFMT(path.stat().st_mode)
            for path in (spool, *spool.rglob("*"))
        }
        names += [str(path.relative_to(folder)) for path in (folder / "data").rglob("*")]
        yield Planted(bridge=bridge, journals=journals, names=names, modes=modes)
    finally:
        bridge.stop()


def run_errands(bridge: RunningBridge) -> None:
    """Let a case be made anew, a study be previewed and another profile's impact be counted."""
    case = next(one for one in bridge.all_items("/api/v1/cases") if one["progress"]["filed"])
    code = bridge.get(f"/api/v1/cases/{case['id']}")["receipts"][0]
    for path, body in (
        ("reruns", {"case_id": case["id"], "profile": "strict"}),
        ("previews", {"study": code, "profile": "strict", "most": 2, "pixels": True}),
        ("impacts", {"first": "teaching", "second": "strict", "last": 2, "most": 1}),
    ):
        asked = json.loads(bridge.fetch(f"/api/v1/{path}", method="POST", body=body))
        errand = asked["items"][0]["rerun"] if path == "reruns" else asked
        ERRANDS[path] = errand["id"]
        eventually(
            lambda path=path: bridge.get(f"/api/v1/{path}/{ERRANDS[path]}")["state"] == "done",
            within_s=120,
            what=f"{path} are done",
        )


def send_consent(bridge: RunningBridge) -> str:
    """Send the document of a consent for a case, and return the case."""
    case_id = next(one["id"] for one in bridge.all_items("/api/v1/inbox") if one["image_count"])
    bridge.fetch(f"/api/v1/inbox/{case_id}/claim", method="POST")
    status, said = call(bridge, "PUT", case_id, body=CONSENT, headers={"Content-Type": "application/pdf"})
    assert status == 200, said
    assert json.loads(said)["consent"]["document"]["size_bytes"] == len(CONSENT)
    return case_id


def call(
    bridge: RunningBridge,
    method: str,
    case_id: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    token: str = ADMIN_TOKEN,
) -> tuple[int, bytes]:
    """Make a call about the document of a case; return status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", bridge.http_port, timeout=30)
    with contextlib.closing(connection):
        path, told = f"/api/v1/cases/{case_id}/consent-document", {"Authorization": f"Bearer {token}", **headers}
        connection.request(method, path, body=body, headers=told)
        answer = connection.getresponse()
        return answer.status, answer.read()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_the_search_finds_what_is_planted(planted_bridge: Planted) -> None:
    originals = b"".join(path.read_bytes() for path in (planted_bridge.bridge.data_dir / "spool").rglob("*.dcm"))

    missing = {
        word for word in WORDS if not any(word.encode(code) in originals.lower() for code in ("utf-8", "latin-1"))
    }

    # Umlauts stand in two encodings; what only a refused object, file meta or a document held never reached the spool.
    assert missing <= {"preambelspatz", "metaspatz", "dozwitscher", "überweiserin", "unterschriftsspatz"}
    assert "unterschriftsspatz" in found_in(CONSENT)
    assert STUDY_DAY.encode() in originals
    assert ROOT.encode() in originals


def test_every_kind_of_outcome_is_among_what_was_planted(planted_bridge: Planted) -> None:
    report = planted_bridge.bridge.status()

    assert {
        "two-patients",
        "same-uid-different-pixels",
        "burned-in-text",
        "pixels-missing",
        "pixels-undecodable",
    } <= set(report["held_by_reason"])
    assert {"private-sop-class", "dose-report", "encapsulated-document"} <= set(report["dropped_by_reason"])
    assert report["total"]["inbox"] >= 8
    assert report["total"]["refused"] == 4
    assert report["rejected_peers"]
    assert report["adds_up"]


def test_no_log_line_names_a_patient(planted_bridge: Planted) -> None:
    content = planted_bridge.bridge.log_file.read_bytes()

    assert len(content) > 1000
    assert found_in(content) == set()


def test_no_journal_and_no_file_name_names_a_patient(planted_bridge: Planted) -> None:
    assert len(planted_bridge.journals) >= 3
    assert {name: found for name, content in planted_bridge.journals.items() if (found := found_in(content))} == {}
    assert [name for name in planted_bridge.names if found_in(name.encode())] == []


def test_the_database_names_no_patient(planted_bridge: Planted) -> None:
    files = list(planted_bridge.bridge.data_dir.glob("casebridge.db*"))

    assert files
    assert {path.name: found for path in files if (found := found_in(path.read_bytes()))} == {}


def test_nothing_else_in_the_data_folder_names_a_patient(planted_bridge: Planted) -> None:
    data = planted_bridge.bridge.data_dir
    files = [path for path in data.rglob("*") if path.is_file() and data / "spool" / "studies" not in path.parents]

    assert len([path for path in files if path.suffix == ".dcm"]) >= 8
    assert {str(path.relative_to(data)): found for path in files if (found := found_in(path.read_bytes()))} == {}


def test_no_image_names_a_patient_once_it_is_unpacked(planted_bridge: Planted) -> None:
    blobs = list((planted_bridge.bridge.data_dir / "blobs").rglob("*.dcm"))

    for path in blobs:
        instance = dcmread(path)
        said = "\n".join(repr(element.value) for element in instance.iterall())
        assert found_in(said.encode()) == set()
        content = path.read_bytes()
        (start,) = (144 + int.from_bytes(content[140:144], "little"),)
        with contextlib.suppress(zlib.error):
            assert found_in(zlib.decompress(content[start:], -zlib.MAX_WBITS)) == set()
    assert blobs


def test_no_answer_of_the_api_names_a_patient(planted_bridge: Planted) -> None:
    bridge = planted_bridge.bridge
    asked = list(every_get(bridge))

    found = {path: hit for path in asked if (hit := found_in(bridge.fetch(path)))}

    assert found == {}
    assert {"/metrics", "/openapi.json", "/healthz", "/readyz", "/api/v1/status"} <= set(asked)
    assert len(asked) > 40


def test_what_was_read_in_a_held_image_is_told_to_a_reviewer_alone_and_it_is_on_record(planted_bridge: Planted) -> None:
    bridge = planted_bridge.bridge
    holds = [hold for hold in bridge.all_items("/api/v1/holds") if hold["reason"] == "burned-in-text"]
    told = [bridge.fetch(f"/api/v1/holds/{hold['id']}") for hold in holds]

    assert any("zwitschervogel" in found_in(answer) for answer in told)
    png = bridge.fetch(f"/api/v1/holds/{holds[0]['id']}/frames/0?boxes=true&size=200")
    assert Image.open(io.BytesIO(png)).size[0] <= 200


def test_the_document_of_a_consent_is_given_out_sealed_and_opens_with_the_private_key_alone(
    planted_bridge: Planted,
) -> None:
    bridge, case_id = planted_bridge.bridge, CONSENTED[0]
    officer = json.loads(
        bridge.fetch("/api/v1/users", method="POST", body={"name": "officer", "role": "privacy_officer"})
    )
    issued = json.loads(bridge.fetch("/api/v1/tokens", method="POST", body={"label": "reading", "user": officer["id"]}))
    why = {"Reason": "The patient asks."}

    by_its_owner, _ = call(bridge, "GET", case_id, headers=why)
    without_reason, _ = call(bridge, "GET", case_id, headers={}, token=issued["token"])
    status, sealed = call(bridge, "GET", case_id, headers=why, token=issued["token"])

    assert (by_its_owner, without_reason, status) == (403, 422, 200)
    assert found_in(sealed) == set()
    assert open_document(sealed, CONSENT_KEY, case_id) == CONSENT
    blobs = [path for path in (bridge.data_dir / "blobs" / "consents").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in blobs] == [sealed]
    assert stat.S_IMODE(blobs[0].stat().st_mode) == 0o600
    reads = bridge.all_items("/api/v1/audit?action=consent.read")
    assert [(one["actor"], one["subject"]) for one in reads] == [("officer", case_id)]


def every_get(bridge: RunningBridge) -> Iterator[str]:
    """Yield every address that can be read, each with every key there is."""
    yield "/openapi.json"
    cases = [case["id"] for case in bridge.all_items("/api/v1/cases")]
    images = [
        (case, image["id"])
        for case in cases
        for study in bridge.get(f"/api/v1/cases/{case}")["studies"]
        for series in study["series"]
        for image in series["images"]
        if image["has_pixels"]
    ]
    holds = [hold["id"] for hold in bridge.all_items("/api/v1/holds")]
    revision = bridge.get("/api/v1/profiles/teaching")["revision"]
    playlist = json.loads(bridge.fetch("/api/v1/playlists", method="POST", body={"title": "Emergencies"}))
    told = {
        "{playlist_id}": playlist["id"],
        "{user_id}": bridge.get("/api/v1/users")["items"][0]["id"],
        "{rerun_id}": ERRANDS["reruns"],
        "{preview_id}": ERRANDS["previews"],
        "{impact_id}": ERRANDS["impacts"],
        "{name}": "teaching",
        "{revision}": revision,
    }
    needed = {"made_under": revision, "called_ae": "CASEBRIDGE"}
    for template, methods in bridge.get("/openapi.json")["paths"].items():
        if "get" not in methods or "/instances/" in template or "/frames/" in template:
            continue  # a preview of an instance, and a frame of a held one, show what the original says
        if "/shared/{token}" in template or template.endswith("/consent-document"):
            continue  # a link shows less of a case than its own address does; the document has a test of its own
        path = template
        for key, value in told.items():
            path = path.replace(key, value)
        parameters = methods["get"].get("parameters", ())
        wanted = [one["name"] for one in parameters if one["in"] == "query" and one.get("required")]
        if wanted:
            path = f"{path}?" + "&".join(f"{name}={needed[name]}" for name in wanted)
        if "{image_id}" in path:
            yield from (path.format(case_id=case, image_id=image) for case, image in images)
        elif "{case_id}" in path:
            yield from (path.format(case_id=case) for case in cases)
        elif "{hold_id}" in path:
            yield from (f"{path.format(hold_id=hold)}?text=false" for hold in holds)
        elif "{code}" in path:
            yield from (path.format(code=one["code"]) for one in bridge.all_items("/api/v1/receipts"))
        else:
            assert "{" not in path, f"a new kind of key in {path}: ask for it here too"
            yield path


def test_the_status_names_no_patient(planted_bridge: Planted) -> None:
    for arguments in (["status"], ["status", "--json"]):
        done = planted_bridge.bridge.cli(*arguments)
        assert done.returncode == 0
        assert found_in((done.stdout + done.stderr).encode()) == set()


def test_what_the_recogniser_read_lies_beside_its_original_only(planted_bridge: Planted) -> None:
    studies = planted_bridge.bridge.data_dir / "spool" / "studies"
    found = [json.loads(path.read_text()) for path in studies.rglob("*.findings.json")]

    texts = " ".join(finding["text"] for report in found for finding in report["findings"]).lower()
    assert "zwitschervogel" in texts


def test_the_spool_is_open_to_its_owner_only(planted_bridge: Planted) -> None:
    wrong = {
        name: oct(mode)
        for name, mode in planted_bridge.modes.items()
        if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)
    }

    assert wrong == {}
    assert stat.S_IMODE((planted_bridge.bridge.data_dir / "secret").stat().st_mode) == 0o600
