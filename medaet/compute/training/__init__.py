"""Training: labelled scans in, a verified model folder out.

cases -> split -> plan -> cache -> loop -> validate -> report, card, export
"""
