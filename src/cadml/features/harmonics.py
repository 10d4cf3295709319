"""The power of weighted directions on the sphere in spherical harmonics, degree by degree.

Rotation mixes the harmonics of one degree and leaves their power alone (Kazhdan, Funkhouser and
Rusinkiewicz 2003).
"""

from __future__ import annotations

from functools import cache
from math import factorial

import numpy as np

from cadml.geometry.part import Floats
from cadml.geometry.vectors import powers


def harmonic_power(direction: Floats, weight: Floats, degrees: int) -> Floats:
    """Return the power of degrees 1 to ``degrees`` over that of degree 0, ``(degrees,)``.

    ``direction (N, 3)`` are unit vectors. By the addition theorem the power of a degree is the
    weighted mean of its Legendre polynomial over all pairs of directions. A harmonic of order m is
    a polynomial in z times (x + iy) to the m, so all of them follow from one small table of moments.
    """
    x, y, z = direction.T
    around = powers(x + 1j * y, degrees, weight)
    heights = powers(z, degrees, 1.0).T
    moments = around.real @ heights + 1j * (around.imag @ heights)  # [order, power of z]
    strengths = np.abs((_polynomials(degrees) * moments).sum(axis=2)) ** 2  # [degree, order]
    power = strengths.sum(axis=1)
    strength: Floats = power[1:] / power[0]
    return strength


@cache
def _polynomials(degrees: int) -> Floats:
    """Return the coefficients of the harmonics' polynomials in z, ``[degree, order, power of z]``.

    Each is the associated Legendre function over the sine to the order, by its recurrences, times the
    root of what the addition theorem gives the order (and its negative) within the degree.
    """
    table = np.zeros((degrees + 1, degrees + 1, degrees + 1))
    table[0, 0, 0] = 1
    for order in range(degrees + 1):
        if order:
            table[order, order] = table[order - 1, order - 1] * (2 * order - 1)
        for degree in range(order + 1, degrees + 1):
            rising = np.roll(table[degree - 1, order], 1)  # times z
            before = table[degree - 2, order] if degree > order + 1 else 0.0
            table[degree, order] = ((2 * degree - 1) * rising - (degree + order - 1) * before) / (
                degree - order
            )
    share = [
        [factorial(d - o) / factorial(d + o) * (2 if o else 1) if o <= d else 0 for o in range(degrees + 1)]
        for d in range(degrees + 1)
    ]
    table *= np.sqrt(share)[:, :, None]
    return table
