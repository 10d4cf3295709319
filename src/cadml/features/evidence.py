"""What descriptors look at: the part, and samples of it drawn once and shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cadml.errors import UndefinedFeature
from cadml.features.axis import Axis, find_axis
from cadml.features.facets import FacetGroups, facet_groups
from cadml.features.hull import Hull
from cadml.features.linework import Linework
from cadml.features.points import Points
from cadml.features.recognition import Recognised, recognise_faces
from cadml.features.surface import Surface
from cadml.geometry.part import BRep, Kind, Part


class Evidence:
    """A part with its lazily drawn, deterministic samples."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._blocks: dict[Callable[[Evidence], NDArray[np.floating]], NDArray[np.floating]] = {}

    def once(self, compute: Callable[[Evidence], NDArray[np.floating]]) -> NDArray[np.floating]:
        """Return ``compute(self)``, computed once however many versions hold the same descriptor."""
        if compute not in self._blocks:
            self._blocks[compute] = np.asarray(compute(self))
        return self._blocks[compute]

    @cached_property
    def elements(self) -> Counter[str]:
        """How many elements of each kind the part is counted by: faces, entities or facet groups.

        Raises
        ------
        UndefinedFeature
            The part lacks the structure that its kind has.
        """
        part = self.part
        if part.kind is Kind.BREP and part.brep is not None:
            return Counter(map(str, part.brep.face_surface.tolist()))
        if part.kind is Kind.DRAWING and part.drawing is not None:
            return Counter(part.drawing.entity_kind)
        if part.kind is Kind.MESH:
            return +Counter({"planar": self.facets.planar, "curved": self.facets.curved})
        raise UndefinedFeature(f"a {part.kind} without its structure has nothing to count")

    @cached_property
    def brep(self) -> BRep:
        """The exact structure.

        Raises
        ------
        UndefinedFeature
            The part has none, or none with an area.
        """
        brep = self.part.brep
        if brep is None or not brep.face_area.sum() > 0:
            raise UndefinedFeature("this part has no exact faces with an area")
        return brep

    @cached_property
    def surface(self) -> Surface:
        """The part's triangles.

        Raises
        ------
        UndefinedFeature
            The part has none, or none with an area.
        """
        if self.part.tessellation is None or not len(self.part.tessellation.triangles):
            raise UndefinedFeature("this part has no triangles to describe")
        return Surface(self.part.tessellation)

    @cached_property
    def facets(self) -> FacetGroups:
        """The facet groups of a mesh."""
        return facet_groups(self.surface)

    @cached_property
    def points(self) -> Points:
        """Points drawn on the surface."""
        return Points(self.surface)

    @cached_property
    def recognised(self) -> Recognised:
        """Faces and edges recognised on the triangles."""
        return recognise_faces(self.surface)

    @cached_property
    def hull(self) -> Hull:
        """The convex hull of the triangles."""
        return Hull(self.surface.points)

    @cached_property
    def axis(self) -> Axis:
        """The axis about which turning would move the surface least."""
        return find_axis(self.surface, self.points)

    @cached_property
    def linework(self) -> Linework:
        """The lines of a drawing.

        Raises
        ------
        UndefinedFeature
            The part is no drawing, or draws no line.
        """
        if self.part.drawing is None:
            raise UndefinedFeature("this part is no drawing")
        return Linework(self.part.drawing)
