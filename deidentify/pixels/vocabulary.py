"""Words that are harmless when burned into pixels: markers, projections, and the names of settings."""

# ruff: noqa: SIM905 - lists to be read as words

SIDES = frozenset("l r lt rt left right".split())

PROJECTIONS = frozenset("ap pa lat lateral obl oblique cc mlo ml lm mlc xcc xccl lao rao lpo rpo".split())

POSITIONS = frozenset(
    """
    erect upright supine prone decub decubitus sitting standing portable mobile stat insp exp inspiration expiration
    flexion extension neutral open swimmers weight bearing semierect semiupright recumbent crosstable
    """.split()
)

BODY = frozenset(
    "head feet foot hand wrist knee ankle hip chest abdomen pelvis spine skull shoulder elbow mouth thorax".split()
)

_PLANES = frozenset(
    """
    ant anterior post posterior sup superior inf inferior med medial axial ax sag sagittal cor coronal tra transverse
    cran caud
    """.split()
)

SEQUENCES = frozenset(
    "t1 t2 t1w t2w pd pdw flair stir dwi adc tof mra gre tse fse fs swi pre contrast gd scout localizer image".split()
)

MARKERS = SIDES | PROJECTIONS | POSITIONS | BODY | _PLANES | SEQUENCES

UNITS = frozenset(
    "mm cm m hz khz mhz s sec ms t kv kvp ma mas mgy msv gy db dlp bpm fps fov thk hu deg min kg ml".split()
)
"""What may stand directly behind a number."""

SETTINGS = UNITS | frozenset(
    """
    w l ww wl wc c mi ti tis tib tic fr frame gn gain sl tr te hr dr pwr map persist res thi gen pen comp ctdi ctdivol
    slice thickness st sp loc pos te1 te2 ti1 nex etl dfov sfov rot pitch tilt recon
    zoom mag prf wf svd sv angle edge p i f h a sax lax rvot lvot ef lv rv la ra av pv mv tv vel pg vmax max mean
    area dist circ vol depth focus freq frq dyn range low med high reject gray color
    flow doppler cine loop std dev 2d 3d
    """.split()
)

_AXES = (frozenset("lr"), frozenset("ap"), frozenset("hf"))
DIRECTIONS = frozenset(
    one + other for first in _AXES for second in _AXES if first != second for one in first for other in second
)
"""Letters of Patient Orientation (PS3.3, C.7.6.1.1.1) for a direction between two: "PR", "AL". They are harmless
alone only."""

VOCABULARY = MARKERS | SETTINGS

NAME_LIKE = frozenset(
    """
    ma la hu st te ml max min gray low high med map gen pen loc pos mean frame focus range cine loop dev color
    area flow edge mag rot pitch tilt angle vol slice std sec dr
    """.split()
)
"""Names of settings that are family or given names as well, or titles before them: two in a row, with nothing that is
surely technical, could be somebody."""
