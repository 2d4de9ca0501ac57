"""Every error MedAET raises on purpose.

    MedaetError
    ├── TransientError               trying again later may work
    │   ├── PeerUnavailableError     no TCP connection, or the association was rejected or aborted
    │   ├── PeerBusyError            the peer answered A7xx: it is out of resources for now
    │   ├── DatabaseUnavailableError the database cannot be reached
    │   ├── OutOfSpaceError          the file system that holds the spool is full
    │   ├── LeaseLostError           the lease ended and another worker may hold the job
    │   ├── WithdrawnError           the worker stopped before the work was begun
    │   ├── TrainingError            a training run ended before its time; it goes on from its checkpoint
    │   └── AnalysisError            one run of an analysis failed; it costs one attempt
    │       ├── ChildCrashedError    the worker child died
    │       ├── ChildTimeoutError    the analysis exceeded its time limit or stopped answering
    │       ├── OutOfMemoryError     memory of device or host did not suffice, in whatever smaller steps
    │       ├── DeviceError          the device failed under the analysis
    │       └── FindingsError        the analysis returned findings that cannot be right
    └── PermanentError               trying again cannot help; the job goes to the dead letters
        ├── ConfigError              the configuration file is wrong
        ├── SchemaError              the database schema is not the one this version needs
        ├── InstanceError            these bytes are not a DICOM instance that can be used
        ├── GeometryError            the series is not one regular volume
        ├── SelectionError           no series fits what the analysis asks for
        ├── RegistrationError        two images cannot be registered, or the result cannot be trusted
        ├── PluginError              the plugin cannot be loaded or its manifest is malformed
        ├── EngineError              an inference engine cannot run this network on this host
        ├── PrecisionError           a reduced precision costs more than the analysis allows
        ├── ConformanceError         the plugin does not keep the contract
        ├── EncodingError            the findings cannot be written as DICOM objects
        ├── ProofError               an encoded result does not say what the plugin found
        └── PeerRefusedError         the peer will not take this instance

The two middle classes carry the retry policy: the queue asks only `isinstance(error, TransientError)`.
Messages say what, where and what to do, in one lower-case clause, and never hold patient data.
"""


class MedaetError(Exception):
    """Something MedAET noticed and can explain."""


class TransientError(MedaetError):
    """Trying again later may work."""


class PermanentError(MedaetError):
    """Trying again cannot help."""


class PeerUnavailableError(TransientError):
    """No TCP connection to the peer, or it rejected or aborted the association."""


class PeerBusyError(TransientError):
    """The peer is out of resources for now (PS3.4 §B.2.3, status A7xx)."""


class DatabaseUnavailableError(TransientError):
    """The database cannot be reached."""


class OutOfSpaceError(TransientError):
    """The file system that holds the spool has no room left."""


class LeaseLostError(TransientError):
    """The lease ended, and another worker may hold the job."""


class WithdrawnError(TransientError):
    """The worker stopped before the work was begun."""


class TrainingError(TransientError):
    """A training run ended before its time; it goes on from its checkpoint."""


class AnalysisError(TransientError):
    """One run of an analysis failed; it costs one attempt."""


class ChildCrashedError(AnalysisError):
    """The worker child died before it answered."""


class ChildTimeoutError(AnalysisError):
    """The analysis exceeded its time limit or stopped answering."""


class OutOfMemoryError(AnalysisError):
    """Memory of device or host did not suffice, in whatever smaller steps."""


class DeviceError(AnalysisError):
    """The device failed under the analysis; the process that used it was replaced."""


class FindingsError(AnalysisError):
    """The analysis returned findings that cannot be right."""


class ConfigError(PermanentError):
    """The configuration is wrong; the message lists every mistake."""


class SchemaError(PermanentError):
    """The database schema is not the one this version needs."""


class InstanceError(PermanentError):
    """These bytes are not a DICOM instance that can be used."""


class GeometryError(PermanentError):
    """The series is not one regular volume; the message names the instances."""


class SelectionError(PermanentError):
    """No series fits what the analysis asks for."""


class RegistrationError(PermanentError):
    """Two images could not be registered, or the registration cannot be trusted; the message holds its figures."""


class PluginError(PermanentError):
    """The plugin cannot be loaded, or its manifest is malformed."""


class EngineError(PermanentError):
    """An inference engine cannot run this network on this host."""


class PrecisionError(PermanentError):
    """A reduced precision costs more than the analysis allows."""


class ConformanceError(PermanentError):
    """The plugin does not keep the contract; the message names its fault."""


class EncodingError(PermanentError):
    """The findings cannot be written as DICOM objects."""


class ProofError(PermanentError):
    """An encoded result, read back, does not say what the plugin found."""


class PeerRefusedError(PermanentError):
    """The peer will not take this instance, whatever the number of attempts."""
