"""The root of all errors."""

from __future__ import annotations

from typing import Any, ClassVar


class CadmlError(Exception):
    """The root of all errors that cadml raises on purpose."""

    code: ClassVar[str]
    stage: ClassVar[str] = "request"
    meaning: ClassVar[str]

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.context = context

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross from worker processes to the service: keep the context on the way.
        return _rebuild, (type(self), self.message, self.context)


def _rebuild(kind: type[CadmlError], message: str, context: dict[str, Any]) -> CadmlError:
    return kind(message, **context)
