"""Length units: how many millimetres one of each is.

DXF numbers are those of ``$INSUNITS`` in Autodesk's DXF reference; inches and feet are the
international ones (25.4 mm exactly), the US survey units exact by their definition of 1200/3937 m.
"""

from __future__ import annotations

UNSTATED = "unstated"

MILLIMETRES: dict[str, float] = {
    UNSTATED: 1.0,  # what every mesh program assumes of a bare number
    "nm": 1e-6,
    "µm": 1e-3,
    "mm": 1.0,
    "cm": 10.0,
    "dm": 100.0,
    "m": 1e3,
    "dam": 1e4,
    "hm": 1e5,
    "km": 1e6,
    "Gm": 1e12,
    "Å": 1e-7,
    "µin": 25.4e-6,
    "mil": 25.4e-3,
    "inch": 25.4,
    "ft": 304.8,
    "yd": 914.4,
    "mile": 1_609_344.0,
    "au": 149_597_870_700e3,
    "ly": 9_460_730_472_580_800e3,
    "pc": 3.0856775814913673e19,
    "us-inch": 1e5 / 3937,
    "us-ft": 12e5 / 3937,
    "us-yd": 36e5 / 3937,
    "us-mile": 6336e6 / 3937,
}

THREE_MF: dict[str, str] = {
    "micron": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "inch": "inch",
    "foot": "ft",
    "meter": "m",
}

_DXF = "unstated inch ft mile mm cm m km µin mil yd Å nm µm dm dam hm Gm au ly pc us-ft us-inch us-yd us-mile"
DXF: dict[int, str] = dict(enumerate(_DXF.split()))
