"""What a STEP or IGES file says beside its shapes: product names and colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from OCP.collections import (
    IndexedDataMap_TopoDS_Shape_XCAFPrs_Style_TopTools_ShapeMapHasher as StyleMap,
)
from OCP.collections import Sequence_TDF_Label
from OCP.Quantity import Quantity_TypeOfColor
from OCP.TCollection import TCollection_ExtendedString
from OCP.TDataStd import TDataStd_Name
from OCP.TDF import TDF_AttributeIterator, TDF_Label
from OCP.TDocStd import TDocStd_Document
from OCP.TopLoc import TopLoc_Location
from OCP.TopoDS import TopoDS_Shape
from OCP.XCAFDoc import XCAFDoc_DocumentTool, XCAFDoc_ShapeTool
from OCP.XCAFPrs import XCAFPrs, XCAFPrs_Style

from cadml.geometry.kernel.bodies import Bodies
from cadml.geometry.kernel.topology import FACE, bundle, keys, mapped
from cadml.geometry.part import frozen

XCAFDoc_ShapeTool.SetAutoNaming_s(False)  # noqa: FBT003 — kernel; else "SOLID" or "=>[0:1]" pass for the file's own names
_SRGB = Quantity_TypeOfColor.Quantity_TOC_sRGB


class Document:
    """A document into which a reader transfers shapes with their names and colours."""

    def __init__(self) -> None:
        self.handle = TDocStd_Document(TCollection_ExtendedString("MDTV-XCAF"))

    def shape(self) -> TopoDS_Shape:
        """Return all shapes of the document as one, every instance at its place."""
        shapes = [XCAFDoc_ShapeTool.GetShape_s(label) for label in self._roots()]
        shapes = [shape for shape in shapes if not shape.IsNull()]
        return shapes[0] if len(shapes) == 1 else bundle(shapes)

    def names(self) -> tuple[str, ...]:
        """Return the distinct names of products and bodies, in the order of the file."""
        labels = Sequence_TDF_Label()
        self._tool().GetShapes(labels)
        found: dict[str, None] = {}
        for label in _items(labels):
            attributes = TDF_AttributeIterator(label)  # FindAttribute of these bindings frees what it returns
            while attributes.More():
                attribute = attributes.Value()
                if isinstance(attribute, TDataStd_Name):
                    found[str(attribute.Get().ToExtString()).strip()] = None
                attributes.Next()
        found.pop("", None)
        return tuple(found)

    def face_colours(self, bodies: Bodies) -> NDArray[np.uint8] | None:
        """Return ``(F, 4)`` RGBA as the file states them, alpha 0 where it does not; None if nowhere."""
        styles = StyleMap()
        for label in self._roots():
            XCAFPrs.CollectStyleSettings_s(label, TopLoc_Location(), styles)
        rows = [(styles.FindKey(i), styles.FindFromIndex(i)) for i in range(1, styles.Extent() + 1)]
        rows = [(shape, style) for shape, style in rows if style.IsSetColorSurf()]
        if not rows:
            return None
        faces = mapped(bodies.shape, FACE)
        colours = np.zeros((faces.Extent() + 1, 4), dtype=np.uint8)
        is_unsewn = not bodies.sewings
        for shape, style in sorted(
            rows, key=lambda row: int(row[0].ShapeType())
        ):  # the part overrides the whole
            inside = mapped(shape, FACE)
            if is_unsewn and inside.Extent() == faces.Extent():
                colours[:] = _rgba(style)
            else:
                colours[[faces.FindIndex(bodies.now(face)) for face in keys(inside)]] = _rgba(style)
        return frozen(colours[1:])  # row 0 took the faces that are no longer there

    def _tool(self) -> XCAFDoc_ShapeTool:
        return XCAFDoc_DocumentTool.ShapeTool_s(self.handle.Main())

    def _roots(self) -> list[TDF_Label]:
        labels = Sequence_TDF_Label()
        self._tool().GetFreeShapes(labels)
        return _items(labels)


def _items(labels: Sequence_TDF_Label) -> list[TDF_Label]:
    return [labels.Value(i) for i in range(1, len(labels) + 1)]


def _rgba(style: XCAFPrs_Style) -> tuple[int, int, int, int]:
    colour = style.GetColorSurfRGBA()
    red, green, blue = (round(255 * c) for c in colour.GetRGB().Values(_SRGB))
    return red, green, blue, max(1, round(255 * colour.Alpha()))
