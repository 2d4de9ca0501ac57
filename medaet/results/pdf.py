"""The PDF report as an Encapsulated PDF instance."""

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from medaet.dicom.codes import IMAGING_REPORT
from medaet.results.algorithm import Algorithm
from medaet.results.header import SERIES_NUMBERS, coded, complete, equipment, fitting
from medaet.results.source import SourceSeries

TITLE_LENGTH = 1024


def encapsulated(document: bytes, series: SourceSeries, algorithm: Algorithm) -> Dataset:
    """Encode a PDF file.

    Args:
        document: The file.
        series: The input whose study it belongs to.
        algorithm: The run.

    Source:
        PS3.3 §A.45.1, §C.24.1, §C.24.2.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = algorithm.uid("PDF", "instance")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Modality = "DOC"
    dataset.SeriesInstanceUID = algorithm.uid("PDF", "series")
    dataset.SeriesNumber = SERIES_NUMBERS["PDF"]
    dataset.InstanceNumber = 1
    dataset.ConversionType = "SYN"
    dataset.BurnedInAnnotation = "YES"
    dataset.AcquisitionDateTime = ""
    named = equipment(algorithm, series.first)
    dataset.Manufacturer = named["manufacturer"]
    dataset.ManufacturerModelName = named["manufacturer_model_name"]
    dataset.SoftwareVersions = named["software_versions"]
    dataset.DeviceSerialNumber = named["device_serial_number"]
    dataset.DocumentTitle = fitting(algorithm.readable_title, series.first, length=TITLE_LENGTH)
    dataset.ConceptNameCodeSequence = [coded(IMAGING_REPORT)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    dataset.EncapsulatedDocumentLength = len(document)
    complete(dataset, series, algorithm, "report as PDF")
    return dataset
