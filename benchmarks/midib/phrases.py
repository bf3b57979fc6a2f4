"""What radiology writes into its text fields: what teaches in it, and the ways in which identifiers stand beside it.

The phrases are not taken from the engine's vocabulary. ``OPEN`` and ``REPORTS`` may be looked at when words are missed.
``SEALED`` and ``SEALED_REPORTS`` are written without knowledge of the vocabulary and are for measuring alone: nobody
adds a word to it because of them. Once they have been looked at, they are moved to the open ones, and others are
written in their place.
"""

import random
from dataclasses import dataclass

from benchmarks.midib.people import Kind, Person, Secret

__all__ = ["Told", "findings", "history", "told", "useful_phrase"]

OPEN = """
CT CHEST W CONTRAST
CT ABDOMEN AND PELVIS WITHOUT CONTRAST
CT, HEAD/BRAIN WO CONTRAST
CT BRAIN WO IVCON
MRI Abdomen w/o contrast
MRI Prostate ERC
MRT oberes Abdomen
US CHEST WALL/SOFT TISSUE
US KIDNEY
ECHOCARDIOGRAM
XR C Spine Comp Min 4 Views
PELVIS W/O CONT
Whole Body Bone
Transesophageal Echocardiogram
Routine Brain
Non-ossifying fibroma of distal tibia
PET-CT STUDY
Thorax nativ
Accelerated SAG IR-SPGR
Cervical LAT
Chest PA
HELICAL CHEST
FAST LOCALIZER
SSh DWI FAST SENSE
t2_tse_sag
t1_vibe_fs_tra_bh
COR STIR
AX T2 FLAIR
AX DWI b1000
Apparent Diffusion Coefficient
MPR coronal
MIP axial
BONE 2.0 CORONAL
LUNG 1.25
Liver Segmentation
CTA AORTA RUNOFF
CT pulmonary angiogram
MR Lumbar Spine without and with gadolinium
MRA Circle of Willis
MRCP
Mammogram screening bilateral
MG left MLO
DX right wrist 3 views
US Doppler carotid bilateral
FLUORO barium swallow
CT urography with delayed phase
CT colonography prone
Cardiac CT coronary angiography retrospective gating
DTI 32 directions
3D MPRAGE sagittal
Schaedel nativ
Thorax p.a. und seitlich
Abdomen arteriell und portalvenoes
Kniegelenk links
IRM cerebrale sans injection
Scanner thoracique avec injection
Radiografia de torax
RM rodilla derecha
Persistent cough, rule out pneumonia
Acute right lower quadrant pain, query appendicitis
Seizure, new, acute
Fall from ladder, suspected fracture of the distal radius
Follow-up of pulmonary nodule
Known hepatocellular carcinoma after embolization
Status post right hemicolectomy
Shortness of breath, elevated D-dimer
Baker cyst of the left knee
Hodgkin lymphoma, restaging
Damaged Mitral Valve
Scout
Topogram 0.6
Lossy compression with JPEG baseline
CT TEMPORAL BONE THIN SLICES
CT SINUSES LOW DOSE
CT enterography oral contrast
CT myelogram lumbar
MRI brachial plexus right
MRI pituitary dynamic
MRI fetal single shot
MR enteroclysis
MR arthrogram shoulder left
MR defecography
US thyroid fine needle aspiration
US scrotum
US hip infant
XR skeletal survey
XR scoliosis standing
Upper GI series with small bowel follow through
HIDA scan with ejection fraction
DMSA renal cortical
Bone scan three phase
FDG PET skull base to mid thigh
Hysterosalpingogram
ERCP
Voiding cystourethrogram
CT perfusion stroke
SWI axial
T1 FSE FS coronal post
BLADE axial
HASTE thick slab
dual energy iodine map
virtual monoenergetic 40 keV
subtraction arterial minus native
Kernel sharp lung window
Becken uebersicht
Halswirbelsaeule in 2 Ebenen
Schulter rechts axial
Rachis lombaire
Genou gauche
Ecografia abdominal
TAC de craneo
Flank pain and hematuria, suspected ureteral stone
Painless jaundice, pancreatic head mass
Thunderclap headache, exclude subarachnoid hemorrhage
Palpable lump in the upper outer quadrant
Crohn disease with terminal ileitis
Kaposi sarcoma
Colles fracture
Schmorl nodes
Meckel diverticulum
Ewing sarcoma of the femur
Takayasu arteritis
Recurrent glioblastoma after radiotherapy
Testicular torsion
Osteoporosis with vertebral compression fracture
Tension pneumothorax after central line placement
Intussusception in an infant
CT CAP W/ORAL AND IV
CT Neck Soft Tissue W
CT HEAD STROKE ALERT
CT KUB NON CON
LD CT LUNG SCREENING
CT Facial Bones Trauma
CT Orbits
CTA Head & Neck bolus tracking
CT guided biopsy liver
CT calcium score
HRCT Chest Inspiration/Expiration
AXIAL 5MM ST
SAG REFORMAT 2x2
Monitoring 10.0 B30f
Dose Report
MRI IAMs
MR Knee Rt Routine
MRI BRAIN EPILEPSY PROTOCOL
MRI Small Bowel
MRI Whole Spine ?cord compression
MRI Cardiac Viability LGE
Ax 3D SPACE T2 IAC
PD FS TSE COR 3mm
ep2d_diff_b50_400_800_ADC
Ax T1 LAVA Flex +C 20 min
TOF 3D multi-slab
MOLLI T1 map SAX
PosDisp: [4] t2_tse_cor
US Abdo
US Renal Tract + PVR
US Venous Duplex LE Rt
US OB 2nd trimester anatomy survey
US Pelvis TA/TV
US Guided Thoracentesis
TTE Limited
XR Ankle Lt AP Lat Mortise
PORTABLE CXR
XR Abdomen Supine
Foot Oblique
Swimmers view
Hand R bone age
XR PELVIS & R HIP POST OP
L CC TOMO
Mammo diag unilat spot mag
Stereotactic core bx breast rt
NM Myocardial Perfusion Rest/Stress
V/Q SPECT
Ga-68 PSMA PET/CT
PET WB NAC
Sentinel node lymphoscintigraphy
XA Cerebral Angio 6 vessel
LCA RAO 30 CAUD 20
DSA 3 f/s left SFA runoff
Nephrostomy tube exchange
Modified swallow with speech path
PICC line insertion
Periapical UL6
OPG
Colonoscopy caecal intubation
Dermoscopy pigmented naevus back
Worsening SOB on exertion, ex-smoker, ?ILD
Fell on outstretched hand, tender anatomical snuffbox
Known breast ca, new back pain, ?bony mets
R/O DVT, swollen calf after long haul flight
Post menopausal bleeding, endometrium thickened on TV scan
Abnormal LFTs, previous cholecystectomy, ?CBD stone
Twisted knee playing football, locking and giving way
Sudden onset left sided weakness and facial droop
Weight loss, night sweats and raised inflammatory markers
NG tube position check please
Unwitnessed fall, on warfarin, GCS 14
Dysphagia to solids, food sticking at the level of the sternum
Patient moved during acquisition, sequence repeated
Allergy to iodinated contrast, premedicated with prednisone
Limited study due to body habitus
eGFR 38, oral hydration given
?Perthes disease, limping child
Hill-Sachs lesion after anterior dislocation
Charcot foot, ?osteomyelitis of the midfoot
Hashimoto thyroiditis with dominant nodule
Barrett's oesophagus surveillance
Marfan syndrome, annual follow up of aortic root
Abdomen-Uebersicht im Stehen
OSG rechts a.p./seitl.
cCT nativ, Ausschluss Blutung
MRT LWS mit KM
Sono Schilddruese
Z.n. Hueft-TEP links, Lockerung?
Unklare Raumforderung im Pankreasschwanz
Durchleuchtung Oesophagus-Breischluck
Morbus Bechterew, Sakroiliitis?
TDM abdomino-pelvienne
Echographie hepatobiliaire
Radio poumon face debout
IRM du genou droit, lesion meniscale ?
Bilan d'extension d'un cancer du colon
Douleur de la fosse iliaque droite, fievre
RX MANO IZQ AP Y OBL
TC TORAX CON CIV
Mamografia bilateral de cribado
Resonancia de columna cervical
Dolor lumbar irradiado a miembro inferior
Sindrome de Sjogren, parotiditis de repeticion
RX torace 2 proiezioni
TC encefalo senza mdc
Ecocolordoppler TSA
RM ginocchio sx
Morbo di Paget del bacino
Controllo dopo frattura del femore prossimale
X-thorax
CT bovenbuik blanco
Echo schouder links, rotatorcuff
Benauwdheid en pleurapijn, longembolie?
RX coluna lombossacra perfil
USG obstetrica
RM cranio com contraste
Nodulo pulmonar em seguimento
CT ABD/PEL W IV ONLY
CTA Chest PE Protocol
CT CERVICAL SPINE WO
CT Lower Extremity Left WO Contrast
CT Liver Triphasic
CTA Renal Arteries
CT Shoulder Lt Pre-op Planning
CT Chest High Resolution Supine and Prone
CT Guided Drainage Pelvic Collection
CT Trauma Pan Scan
SPR Lateral
AXIAL BONE 0.625MM
Recon 3: LUNG WINDOW
Smart Prep Series
DELAYED 5 MINS
THIN MIPS COR
Body 5.0 CE
Patient Protocol
3D VOLUME RENDERED
CTP CBF and TTP maps
MRI C-Spine w/o
MR BREAST BILAT W WO CAD
MRI Liver Primovist
MRI Pelvis Rectal Staging
MR Hip Unilat Left Non Contrast
MR TMJ open/closed mouth
MRV Head
3-Plane Loc
AX GRE T2*
Sag CUBE FLAIR
WATER: Ax DIXON +C
dADC Map (10^-6 mm2/s)
t1_fl2d_tra_dynamic_5min
T2W_TSE_COR SENSE
eT1W_mDIXON_W
MR Spectroscopy single voxel TE 135
Resting state fMRI EPI
4D flow aorta
XR Chest 2 views
XR Knee Bilat Weight Bearing
Elbow Lt AP/Lat
ABD ERECT
SKYLINE R PATELLA
XR Tib/Fib Post Reduction
Clavicle
Lateral Decubitus
Mobile chest ICU
US Gallbladder RUQ
US Aorta Screening AAA
US Breast Left Limited
US Neonatal Head
US Renal Transplant Doppler
MAMMO SCREEN W TOMO
R MLO Implant Displaced
NM Thyroid Uptake I-123
PET CTAC
MAG3 Diuretic Renogram
NM Gastric Emptying Solid
Lower limb angioplasty run
TACE right hepatic artery
Coronary Angio +/- PCI
Gastrografin enema
Single Shot
Fundus OD macula centred
RT planning head and neck mask
Chest pain radiating to the back, ?dissection
Rib tenderness after RTA, clinically no flail segment
Chronic sinus congestion, failed medical treatment
Hearing loss and tinnitus on the right, ?acoustic neuroma
Recurrent UTI, assess for scarring or residual volume
Raised PSA, previous negative biopsy
Fever and neutropenia, on chemo for AML
Post op day 3, distended abdomen, not passing flatus
Poor inspiratory effort, best images possible
Patient is claustrophobic, needs sedation
Previous Whipple procedure, rising CA 19-9
Midfoot swelling after crush injury, ?Lisfranc
Tremor and rigidity, Parkinson's vs drug induced
Thyrotoxicosis, likely Graves disease
MRT Kopf mit und ohne KM
CT Thorax/Abdomen pv
Roe Hand links in 2 Eb.
Sprunggelenk seitlich
Sono Abdomen, Nieren gestaut?
Angio Becken-Bein rechts
Sturz auf die Huefte, Schenkelhalsfraktur?
Verlaufskontrolle bei bekannten Lungenrundherden
Dupuytren-Kontraktur, Zustand nach Operation
TDM thorax low dose
IRM rachis cervical T2 sag
Echo-doppler des membres inferieurs
Radiographie du bassin de face
Coloscanner a l'eau
Cephalees inhabituelles, recherche de thrombose veineuse
Nevrome de Morton du troisieme espace
TC ABDOMINOPELVICO
Ecografia de mama derecha
RM de hombro sin contraste
RX tobillo en carga
Tos y fiebre de cinco dias, descartar neumonia
Perdida de peso en estudio, anemia ferropenica
TC addome superiore trifasica
RX bacino e anca dx
Ecografia tiroidea
RM encefalo e tronco encefalico con mdc
Dispnea ingravescente, sospetto versamento
MRI knie rechts
CT hersenen zonder contrast
Buikpijn linksonder, diverticulitis?
TC de abdome total
RX joelho esquerdo AP e perfil
Dor pelvica cronica, suspeita de endometriose
"""

SEALED = """
CT Head Without Contrast
CT ABDOMEN PELVIS W CONTRAST
CT Chest WO Contrast
CT Chest Abdomen Pelvis With IV Contrast
CT ANGIO HEAD AND NECK W WO
CT Angiogram Chest PE Study
CT Lumbar Spine Without Contrast
CT Soft Tissue Neck W Contrast
CT Maxillofacial WO
CT Renal Stone Protocol
CT Low Dose Lung Cancer Screening
CT Knee Right WO Contrast
CT Pancreas Dual Phase
AXIAL 3.0 SOFT TISSUE
COR LUNG 3MM
Sagittal Bone Reformats
Thorax Lung 1.0 Br60
AbdRoutine 5.0 B31f
Portal Venous Phase 2mm
Head 5.0 Hr40 S3
ARTERIAL PHASE AX
Lateral Scout
PreMonitoring
CTA 0.75 Bv36 3
VRT Aorta
MRI Brain With and Without Contrast
MRI LUMBAR SPINE WO CONTRAST
MRI Cervical Spine Without Contrast
MRI Knee Left Without
MRI Shoulder Right Arthrogram
MRI Prostate Multiparametric
MRI Thoracic Spine W WO
MR Angiogram Neck With Contrast
MRI Ankle Lt
MRI Pancreas and MRCP
AX T1 POST
SAG T2
Ax T2 FS Propeller
t1_mprage_sag_p2_iso
t2_blade_tra_fs
ep2d_diff_3scan_trace_p2_TRACEW
t2_space_dark-fluid_sag
3D Ax SWAN Phase
COR T1 TSE LT
sT2W_FLAIR
Ax FSPGR Dynamic +C
PD SPAIR SAG
cine SAx stack
localizer
XR CHEST PORTABLE 1 VIEW
Chest PA and Lateral
XR Foot Right 3 Views
Lumbar Spine AP and Lateral
XR Hip with Pelvis Left
AP Pelvis
XR Shoulder Rt Y View
Knee Lat
Abdomen AP
Thumb Lt
US Abdomen Complete
US Pelvis Transvaginal
US Thyroid
US Renal Bladder
US Duplex Lower Extremity Veins Bilateral
US OB Less Than 14 Weeks
US Breast Right Targeted
US Guided Paracentesis
Echo Complete Adult Transthoracic
MG Screening Digital Bilateral w Tomosynthesis
Diagnostic Mammogram Left
R CC
NM Bone Scan Whole Body
PET/CT Skull Base to Mid Thigh FDG
Myocardial SPECT Stress Gated
CT WB Atten Corr
Left Coronary LAO Cranial
Barium Enema Double Contrast
Tunneled dialysis catheter exchange
DEXA bone density hip and spine
Key Images
Cough and fever, ?chest infection
Headache for 2 weeks, no focal neurology
Low back pain with left leg radiculopathy
Chest pain and shortness of breath, rule out PE
Abdominal pain, nausea and vomiting
Fall, hit head, on apixaban
Trauma, MVA, neck pain
Altered mental status
Knee pain after injury, ?meniscal tear
Annual screening, no symptoms, mother had breast cancer
Prostate cancer, Gleason 4+3, staging before surgery
Lung cancer, assess response to treatment
Right upper quadrant pain, ?gallstones
Elevated creatinine, rule out obstruction
Abnormal uterine bleeding, ?fibroids
Post intubation, check tube position
Dizziness and ataxia, rule out posterior fossa stroke
Left hip pain, known OA, considering replacement
Shoulder pain, limited abduction, ?rotator cuff tear
Multiple sclerosis, new symptoms, compare with prior
Colon cancer post resection, surveillance
Pyelonephritis not improving on antibiotics, ?abscess
Crohn's flare, ?stricture or fistula
Memory loss and confusion, ?Alzheimer's disease
Bell's palsy not resolving
Osgood-Schlatter, tender tibial tuberosity
Non-Hodgkin lymphoma, end of treatment
Hypertension and weight gain, ?Cushing's syndrome
Patient unable to hold breath
Best obtainable, patient uncooperative
Contrast extravasation in the right arm, scan stopped
Technically limited by bowel gas
Not for diagnosis
CT Abdomen mit KM
MRT Knie rechts nativ
Roentgen Thorax in 2 Ebenen
MRT HWS nativ
CT Schaedel nach Sturz
Thorax im Liegen
Mammographie beidseits
Tumornachsorge bei Mammakarzinom, Metastasen?
V.a. Lungenembolie, D-Dimere erhoeht
Lumboischialgie links, Bandscheibenvorfall?
Radiographie thorax de face
TDM cerebrale sans injection
IRM lombaire
Echographie abdominale
Scanner thoraco-abdomino-pelvien avec injection
Mammographie de depistage
Douleur thoracique, suspicion d'embolie pulmonaire
Maladie de Crohn, controle sous traitement
Radio genou droit face et profil
TC craneo sin contraste
RX torax PA y lateral
Ecografia de abdomen completo
RM columna lumbar
TAC abdomen con contraste
Dolor abdominal intenso, descartar apendicitis
Gonalgia izquierda, valorar menisco
Control evolutivo de nodulos pulmonares
Enfermedad de Parkinson, temblor de reposo
RX torace standard
TC torace e addome con mdc
RM rachide lombosacrale
Ecografia addome completo
Trauma cranico, escludere lesioni emorragiche
Dolore alla spalla destra da due mesi
Linfoma di Hodgkin, ristadiazione
CT abdomen met contrast
MRI lumbale wervelkolom
X-knie links staand
Echo abdomen
Hoesten en koorts, infiltraat?
Val van de trap, heupfractuur?
RX torax PA e perfil
TC cranio sem contraste
RM da coluna lombar
Ultrassonografia de abdome total
Mamografia de rastreamento
Tosse e febre, afastar pneumonia
"""

REPORTS = """
There is a 12 mm nodule in the left upper lobe with spiculated margins.
No pleural effusion or pneumothorax.
The liver is normal in size and contour without focal lesion.
Mild degenerative changes of the lumbar spine.
Acute infarct in the territory of the left middle cerebral artery.
The appendix is dilated with surrounding fat stranding.
Stable postoperative appearance of the right hip.
Complete tear of the anterior cruciate ligament.
Enlarged lymph nodes in the mediastinum are unchanged.
No evidence of acute fracture or dislocation.
Heterogeneously enhancing mass in the right kidney, most likely renal cell carcinoma.
Diffuse ground glass opacities in both lower lobes.
The common bile duct measures 9 mm and tapers smoothly.
Bucket handle tear of the medial meniscus.
Moderate hydronephrosis on the left caused by an obstructing calculus.
The sella is expanded by a cystic lesion with a fluid level.
The cerebellar tonsils lie 7 mm below the foramen magnum, in keeping with a Chiari malformation.
Cardiomegaly with upper lobe venous diversion and Kerley B lines.
Left ventricular ejection fraction is estimated at 45 % with hypokinesis of the inferolateral wall.
Scattered fibroglandular densities; no suspicious calcifications, BI-RADS 2.
The gallbladder contains several mobile calculi, and its wall is not thickened.
Broad-based disc protrusion at L4/5 narrows the right lateral recess and contacts the L5 nerve root.
Undisplaced transverse fracture through the base of the fifth metatarsal.
Tip of the endotracheal tube projects 3 cm above the carina.
FDG-avid right hilar node, SUVmax 8.4, previously 3.1.
No filling defect is seen within the main, lobar or segmental pulmonary arteries.
Periventricular white matter hyperintensities are in keeping with chronic small vessel ischaemia.
Kein Nachweis einer Ischaemie oder einer intrakraniellen Blutung.
Absence d'epanchement pleural, silhouette cardiaque normale.
Esteatosis hepatica difusa sin lesiones focales.
Non si osservano lesioni pleuro-parenchimali in atto.
Geen aanwijzingen voor een fractuur, wel wat hydrops.
Small bowel loops are dilated up to 4 cm with a transition point in the right iliac fossa.
The lungs are clear, and the cardiomediastinal contour is within normal limits.
A Bosniak IIF cyst at the lower pole of the left kidney has not grown since the previous study.
Subdural collection along the right convexity, 11 mm deep, with 6 mm of midline shift.
Full thickness tear of the supraspinatus tendon with retraction to the level of the humeral head.
Both ovaries are of normal volume, and there is no free fluid in the pouch.
Minimally displaced comminuted fracture of the distal fibula with widening of the medial clear space.
Restricted diffusion in the left peripheral zone at the mid gland, PI-RADS 4.
Mild emphysema with apical predominance; bronchial wall thickening in the lower lobes.
Focal tracer uptake in the right sacral ala is suspicious for an insufficiency fracture.
High grade stenosis of the proximal left anterior descending artery, stented with a good final result.
Keine vergroesserten Lymphknoten axillaer, mediastinal oder hilaer.
Foie de taille normale, a contours reguliers, sans dilatation des voies biliaires.
Cambios degenerativos en los espacios discales, sin compromiso del canal medular.
Milza nei limiti per dimensioni, non versamento libero in addome.
Rins de dimensoes normais, sem calculos ou hidronefrose.
"""

SEALED_REPORTS = """
No acute intracranial hemorrhage, mass effect or midline shift.
The heart size is normal, and there is no focal consolidation.
Small bilateral pleural effusions with adjacent atelectasis.
There are no enlarged mediastinal or axillary lymph nodes.
The spleen, pancreas and adrenal glands are unremarkable.
A 4 mm nonobstructing stone is seen in the lower pole of the right kidney.
Multilevel disc degeneration with mild canal stenosis at L3/4.
Hepatic steatosis; simple cyst in segment 7, too small to characterize further.
The aorta is normal in caliber with moderate atherosclerotic calcification.
Comparison is made with the prior examination; no significant interval change.
Sigmoid diverticulosis without evidence of acute inflammation.
Moderate joint effusion with a small Baker's cyst.
No suspicious mass, architectural distortion or skin thickening in either breast.
The thyroid is enlarged and heterogeneous with several nodules, the largest 18 mm on the left.
Normal compressibility and flow in the femoral and popliteal veins, no thrombus.
Patchy airspace opacity in the right lower lobe is concerning for pneumonia.
Impression: no acute cardiopulmonary process, follow up as clinically indicated.
Keine Infiltrate, kein Pleuraerguss, Herz nicht vergroessert.
Maessige Gonarthrose mit Gelenkerguss und degenerativem Innenmeniskus.
Pas de lesion focale hepatique ni de dilatation des cavites pyelocalicielles.
No se observan lesiones ocupantes de espacio ni signos de sangrado agudo.
Non evidenza di lesioni focali a carico del parenchima epatico.
Geen pleuravocht, hart niet vergroot, normale vaattekening.
Ausencia de derrame pleural, area cardiaca dentro dos limites normais.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A text with identifiers in it, the useful words that should stay, and what has to go."""

    text: str
    useful: str
    secrets: tuple[Secret, ...]
    is_sealed: bool


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def useful_phrase(rng: random.Random, longest: int = 64) -> tuple[str, bool]:
    """Return a phrase and whether it is a sealed one."""
    is_sealed = rng.random() < 0.5
    return rng.choice([line for line in _lines(SEALED if is_sealed else OPEN) if len(line) <= longest]), is_sealed


def _joined(rng: random.Random, person: Person, when: str, uid: str) -> list[tuple[str, tuple[Secret, ...]]]:
    """Return the ways in which identifiers stand around a phrase, written ``%``, with what has to go of each."""
    doctor, first = rng.choice(person.doctors)
    name, record = Secret(person.family, Kind.NAME), Secret(person.record, Kind.RECORD)
    birth, date = Secret(person.birth_text, Kind.DATE), Secret(when, Kind.DATE)
    street, town = Secret(person.street, Kind.ADDRESS), Secret(person.town, Kind.ADDRESS)
    phone, mail = Secret(person.phone, Kind.PHONE), Secret(person.mail, Kind.MAIL)
    staff, relative = Secret(doctor, Kind.NAME), Secret(person.relative, Kind.NAME)
    place = Secret(person.place, Kind.PLACE)
    short: list[tuple[str, tuple[Secret, ...]]] = [
        (f"% for {person.family}, DOB {person.birth_text}", (name, birth)),
        (f"{person.family}^{person.given} %", (name, Secret(person.given, Kind.NAME))),
        (f"% MRN {person.record}", (record,)),
        (f"% - Dr. {doctor}", (staff,)),
        (f"% {when}", (date,)),
        (f"% ({person.family.upper()})", (name,)),
        (f"% {person.accession}", (Secret(person.accession, Kind.RECORD),)),
        (f"% {doctor}", (staff,)),
        (f"% @ {person.hospital}", (place,)),
    ]
    return [
        *short,
        (f"% Contact {person.relative} at {person.phone}.", (relative, phone)),
        (f"% Results to {person.mail}", (mail,)),
        (f"% Lives at {person.street}, {person.town}.", (street, town)),
        (f"Mrs {person.family} of {person.street}: %", (name, street)),
        (f"% Discussed with {first} {doctor} on {when}.", (Secret(first, Kind.NAME), staff, date)),
        (f"% Compare with {uid}", (Secret(uid, Kind.UID),)),
        (f"% prior from {person.hospital}, {person.town}", (place, town)),
    ]


def told(rng: random.Random, person: Person, when: str, uid: str, longest: int) -> Told:
    """Return a phrase with identifiers beside it, of at most `longest` characters."""
    for _ in range(100):
        useful, is_sealed = useful_phrase(rng, longest)
        form, secrets = rng.choice(_joined(rng, person, when, uid))
        text = form.replace("%", useful)
        if len(text) <= longest:
            return Told(text=text, useful=useful, secrets=secrets, is_sealed=is_sealed)
    useful, is_sealed = useful_phrase(rng, min(longest, 16))
    return Told(text=useful, useful=useful, secrets=(), is_sealed=is_sealed)


def history(rng: random.Random, person: Person, when: str, uid: str) -> Told:
    """Return several sentences, one with identifiers, as people type them into comments."""
    first = told(rng, person, when, uid, 400)
    more, is_sealed = useful_phrase(rng)
    return Told(
        text=f"{first.text}\r\n{more}",
        useful=f"{first.useful} {more}",
        secrets=first.secrets,
        is_sealed=first.is_sealed or is_sealed,
    )


def findings(rng: random.Random, person: Person, when: str) -> Told:
    """Return what a report says, with whom it was told."""
    is_sealed = rng.random() < 0.5
    sentence = rng.choice(_lines(SEALED_REPORTS if is_sealed else REPORTS))
    doctor, first = rng.choice(person.doctors)
    forms = [
        (f"% Discussed with Dr. {first} {doctor} on {when}.", (Secret(doctor, Kind.NAME), Secret(when, Kind.DATE))),
        (f"{person.given} {person.family}: %", (Secret(person.family, Kind.NAME),)),
        (f"% Telephoned to {person.phone}.", (Secret(person.phone, Kind.PHONE),)),
        (f"% Mr {person.family} of {person.town} was informed.", (Secret(person.family, Kind.NAME),)),
        ("%", ()),
    ]
    form, secrets = rng.choice(forms)
    return Told(text=form.replace("%", sentence), useful=sentence, secrets=secrets, is_sealed=is_sealed)
