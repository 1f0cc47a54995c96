"""The axis ``structure``: what is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from harmonia.compress.site import Kind, Site
from harmonia.core.errors import InputError
from harmonia.core.part import Part

if TYPE_CHECKING:
    pass


class Structure(Part):
    """Says which units of a model may go.

    Whole units inside of layers are sites, for a criterion to score; whole layers are chosen here.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ()
    """Of the units that are offered."""

    spare_first: int = Field(0, ge=0)
    """How many of the first layers are left alone; they are the most harmful to cut."""
    spare_last: int = Field(0, ge=0)
    """How many of the last layers are left alone."""

    def sites(self, model: Any, length: int) -> list[Site]:
        """Return the consumers whose units may go, in the order of the layers.

        Args:
            model: a transformer of a supported family, in memory.
            length: tokens of a sequence, on which the cost of attention depends.

        Raises:
            InputError: a model that cannot be pruned, or every layer is spared.
        """
        from harmonia.compress.structure.cost import site
        from harmonia.models.pruned import check_loaded, family_of

        check_loaded(model)
        slots = family_of(model).slots(model)
        within = self.within(1 + max((slot.layer for slot in slots), default=-1))
        return [site(model, slot, length) for slot in slots if slot.kind in self.kinds and slot.layer in within]

    def within(self, layers: int) -> range:
        """Return the layers that are not spared.

        Raises:
            InputError: there are none.
        """
        found = range(self.spare_first, layers - self.spare_last)
        if not found:
            raise InputError(
                f"structure: spare_first={self.spare_first} and spare_last={self.spare_last} leave nothing of "
                f"{layers} layers to cut"
            )
        return found
