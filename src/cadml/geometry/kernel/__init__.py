"""Open CASCADE behind a few questions; only here and in :mod:`cadml.geometry.brep` is it imported.

``exchange`` and ``dump`` read, ``bodies`` settles what encloses a volume, ``measure`` and ``box`` integrate,
``tessellate`` meshes; ``topology``, ``surfaces`` and ``explore`` are our own walk over the result.
"""

from OCP.Message import Message

Message.DefaultMessenger_s().ChangePrinters().Clear()  # else the kernel writes to standard output
