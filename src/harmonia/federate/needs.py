"""What a part needs of a round: what clients keep, what is sent, what the server keeps.

Sizes are told by name, so that a plan can be made, and its bytes counted, before anything is built:
``P`` numbers of the shared model, ``H`` of a private head, ``C`` classes, ``d`` features, ``Cd`` their product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Size = Literal["P", "H", "C", "Cd", "1"]


@dataclass(frozen=True)
class Item:
    """One array of a message, or of what is kept.

    Attributes:
        name: its name in the message.
        size: how many numbers it has.
        why: what it is, in a few words.
    """

    name: str
    size: Size
    why: str


@dataclass(frozen=True)
class Needs:
    """What one part needs beside the model and the number of examples, which always travel.

    Attributes:
        kept: by a client, from one participation to the next.
        down: to a client.
        up: from a client.
        server: kept by the server.
        backward: backward passes per local step.
    """

    kept: tuple[Item, ...] = ()
    down: tuple[Item, ...] = ()
    up: tuple[Item, ...] = ()
    server: tuple[Item, ...] = ()
    backward: int = 1

    def __add__(self, other: Needs) -> Needs:
        """Return the union; what two parts share is needed once."""
        return Needs(
            kept=_union(self.kept, other.kept),
            down=_union(self.down, other.down),
            up=_union(self.up, other.up),
            server=_union(self.server, other.server),
            backward=self.backward * other.backward,
        )


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model and its data.

    Attributes:
        shared: P, numbers that are averaged.
        private: H, numbers of a head that stays with its client.
        classes: C.
        features: d.
    """

    shared: int
    private: int
    classes: int
    features: int
    of: Mapping[Size, int] = field(init=False)

    def shape(self, size: Size) -> tuple[int, ...]:
        """Return the shape of an array of this size."""
        return (self.classes, self.features) if size == "Cd" else () if size == "1" else (self.of[size],)

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "of",
            {
                "P": self.shared,
                "H": self.private,
                "C": self.classes,
                "Cd": self.classes * self.features,
                "1": 1,
            },
        )


def _union(one: tuple[Item, ...], other: tuple[Item, ...]) -> tuple[Item, ...]:
    return (*one, *(item for item in other if item.name not in {held.name for held in one}))
