"""Words that are harmless when burned into pixels: markers, projections, and the names of settings."""

MARKERS = frozenset(
    """
    l r lt rt left right ap pa lat lateral ant anterior post posterior sup superior inf inferior med medial obl oblique
    cc mlo ml lm mlc xcc erect upright supine prone decub decubitus sitting standing portable mobile stat
    insp exp inspiration expiration flexion extension axial ax sag sagittal cor coronal tra transverse head feet foot
    hand wrist knee ankle hip chest abdomen pelvis spine skull shoulder elbow neutral open mouth swimmers weight bearing
    pre contrast gd scout localizer image of lao rao lpo rpo cran caud
    """.split()  # noqa: SIM905 - to be read as words
)

SETTINGS = frozenset(
    """
    w l ww wl wc c mi ti tis tib tic fr frame gn gain sl tr te hr dr db pwr map persist res thi gen pen comp mm cm m hz
    khz mhz s sec ms t kv kvp ma mas mgy msv ctdi dlp bpm fps fov thk slice thickness st sp loc pos te1 te2 ti1 nex etl
    zoom mag prf wf svd sv angle edge p i f h a sax lax rvot lvot ef lv rv la ra av pv mv tv vel pg vmax max min mean
    area dist circ vol depth focus freq dyn range low med high opt reject sec gray color
    flow doppler cine loop hu std dev
    """.split()  # noqa: SIM905
)

VOCABULARY = MARKERS | SETTINGS
