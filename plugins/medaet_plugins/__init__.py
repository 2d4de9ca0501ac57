"""Plugins that ship with MedAET; they import medaet only."""
