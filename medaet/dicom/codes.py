"""Every coded concept MedAET writes (PS3.3 §8.8), with its context group or template."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: what a machine compares and what a person reads.

    Attributes:
        value: Code Value (0008,0100), at most 16 characters.
        scheme: Coding Scheme Designator (0008,0102), such as "SCT", "DCM" or "UCUM".
        meaning: Code Meaning (0008,0104), at most 64 characters.
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        if not (0 < len(self.value) <= 16 and 0 < len(self.scheme) <= 16):
            raise ValueError(f"code value and scheme take 1 to 16 characters: {self}")
        if not 0 < len(self.meaning) <= 64:
            raise ValueError(f"code meaning takes 1 to 64 characters: {self}")


# Segmented property categories, PS3.16 CID 7150.
ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")
TISSUE = Code("85756007", "SCT", "Tissue")
BODY_SUBSTANCE = Code("91720002", "SCT", "Body Substance")
PHYSICAL_OBJECT = Code("260787004", "SCT", "Physical object")
MORPHOLOGIC_ABNORMALITY = Code("49755003", "SCT", "Morphologically Altered Structure")

# Anatomy, PS3.16 CID 4031, 7166 and the SNOMED hierarchy of body structures.
LUNG = Code("39607008", "SCT", "Lung")
TRACHEA = Code("44567001", "SCT", "Trachea")
BRAIN = Code("12738006", "SCT", "Brain")
INTRACRANIAL_SPACE = Code("1101003", "SCT", "Intracranial")
HEAD = Code("69536005", "SCT", "Head")
CHEST = Code("51185008", "SCT", "Chest")

SKULL = Code("89546000", "SCT", "Skull")
# Morphology, SNOMED's body of tumours.
NEOPLASM = Code("108369006", "SCT", "Neoplasm")

# Laterality modifiers, PS3.16 CID 244.
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

# Measurements, PS3.16 CID 7469 and related groups.
VOLUME = Code("118565006", "SCT", "Volume")
MEAN = Code("373098007", "SCT", "Mean")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")

# Units, PS3.16 CID 7460 and 82.
MILLILITRE = Code("ml", "UCUM", "milliliter")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = Code("%", "UCUM", "percent")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
DEGREE = Code("deg", "UCUM", "degrees of plane angle")
NO_UNITS = Code("1", "UCUM", "no units")

# Purposes of reference for contributing equipment, PS3.16 CID 7005.
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")

# Procedures reported, PS3.16 CID 100.
CT_PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
MR_PROCEDURE = Code("25056-3", "LN", "MRI unspecified body region")

# Words of a report, PS3.16 TID 1500 and TID 1501.
COMMENT = Code("121106", "DCM", "Comment")
DETECTED = Code("260373001", "SCT", "Detected")
NOT_DETECTED = Code("260415000", "SCT", "Not detected")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")

# Measurements without a code in SCT or DCM that we know of: a scheme of our own (PS3.16 §8.2).
IMAGE_FEATURES = Code("features", "99MEDAET", "Image features")
EMPHYSEMA_INDEX = Code("LAA-950", "99MEDAET", "Low attenuation area below -950 HU")

VOLUME_CHANGE = Code("VOL-CHANGE", "99MEDAET", "Change of volume since the prior study")
VOLUME_CHANGE_PERCENT = Code(
    "VOL-CHANGE-PCT", "99MEDAET", "Relative change of volume since the prior study"
)
PRIOR_OVERLAP = Code("PRIOR-OVERLAP", "99MEDAET", "Dice overlap with the prior study")

REGISTRATION_OVERLAP = Code("REG-OVERLAP", "99MEDAET", "Overlap of registered images")
REGISTRATION_GAIN = Code("REG-GAIN", "99MEDAET", "Agreement of registered images over chance")
REGISTRATION_INVERSE = Code("REG-INVERSE", "99MEDAET", "Inverse inconsistency of registration")
REGISTRATION_RESIDUAL = Code("REG-RESIDUAL", "99MEDAET", "Residual shift of parts of the image")
REGISTRATION_ANGLE = Code("REG-ANGLE", "99MEDAET", "Rotation between registered images")

# Problems of an input: also a scheme of our own.
INPUT_PROBLEM = Code("IN-PROBLEM", "99MEDAET", "Problem of the input images")
SLICES_MISSING = Code("IN-MISSING", "99MEDAET", "Missing slices interpolated")
SLICES_UNEVEN = Code("IN-UNEVEN", "99MEDAET", "Uneven slices resampled")
SLICES_DOUBLED = Code("IN-DOUBLED", "99MEDAET", "Duplicated slices left out")
SLICES_TILTED = Code("IN-TILTED", "99MEDAET", "Slices tilted against their normal")
SERIES_PARTED = Code("IN-PARTED", "99MEDAET", "One of several volumes of the series")
IMAGES_LEFT_OUT = Code("IN-LEFT-OUT", "99MEDAET", "Images of the series left out")
SERIES_INCOMPLETE = Code("IN-INCOMPLETE", "99MEDAET", "Incomplete series")
LOSSY_COMPRESSION = Code("IN-LOSSY", "99MEDAET", "Lossy compressed input")

# How frames were derived, and from what: PS3.16 CID 7203 and CID 7202.
SEGMENTATION = Code("113076", "DCM", "Segmentation")
UNSPECIFIED_CALCULATION = Code("112187", "DCM", "Unspecified method of calculation")
SPATIAL_RESAMPLING = Code("113085", "DCM", "Spatial resampling")
DEFORMED = Code("125027", "DCM", "Deformed for Registration")
SOURCE_FOR_PROCESSING = Code("121322", "DCM", "Source image for image processing operation")

# How frames of reference were registered, PS3.16 CID 7100.
FRAME_IDENTITY = Code("125021", "DCM", "Frame of Reference Identity")
CONTENT_BASED = Code("125024", "DCM", "Image Content-based Alignment")

# Titles of documents, PS3.16 CID 7010 and CID 7020.
OF_INTEREST = Code("113000", "DCM", "Of Interest")
IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic imaging report")
