"""The last used things, up to a number of bytes: views, label maps, scenes, glances."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """Things by key; beyond `limit_bytes` the one that was used longest ago goes first, the last one stays."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._held = limit_bytes, 0
        self._things: OrderedDict[Hashable, tuple[Thing, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Thing], size: Callable[[Thing], int]) -> Thing:
        """Return what is kept under `key`, made now if it is not."""
        known = self.find(key)
        if known is None:
            known = make()
            self.put(key, known, size(known))
        return known

    def find(self, key: Hashable) -> Thing | None:
        """Return what is kept under `key`; None where nothing is."""
        if key not in self._things:
            return None
        self._things.move_to_end(key)
        return self._things[key][0]

    def put(self, key: Hashable, thing: Thing, size_bytes: int) -> None:
        """Keep a thing under a key that is free."""
        self._things[key] = (thing, size_bytes)
        self._held += size_bytes
        while self._held > self._limit and len(self._things) > 1:
            _, (_, freed) = self._things.popitem(last=False)
            self._held -= freed
