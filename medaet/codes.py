"""Coded concepts, at the address where plugin authors look for them; `medaet.dicom.codes` defines them."""

from medaet.dicom.codes import *  # noqa: F403 -- this module is a second address for the same names
