"""A pickle machine that builds containers alone: it never imports or calls what a file names.

Python's own unpickler imports and calls anything that a file names, which is how a "model" from a
stranger runs a program; and a single opcode can make it allocate all memory. This one knows lists,
tuples, dicts, strings and numbers. A name in the file is looked up in the caller's table of
constructors; every other name stays a name.
"""

from __future__ import annotations

import pickletools
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tinymnist import limits

_STEPS = 1000  # charged together
_MOST_BITS = 128
_short = reprlib.Repr()
_short.maxlevel = 2


def brief(value: Any) -> str:
    """A value of a pickle in few letters, however deep it is, or how often it holds a part."""
    return _short.repr(value)[:100]


class Refused(ValueError):
    """The pickle is damaged, or needs something that this machine does not do."""


@dataclass(frozen=True)
class Name:
    """A global of Python that the pickle names: ``collections OrderedDict``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"[:100]


@dataclass(frozen=True)
class Known:
    """A name in the table, and its constructor."""

    name: Name
    make: Callable[..., Any]


@dataclass
class Instance:
    """An object of an unknown class, which is not imported: its state as the pickle holds it."""

    kind: Name
    state: Any = None


@dataclass
class Machine:
    """Runs pickles.

    Attributes:
        known: what may be called, by module and name.
        persistent: converts a persistent id, the tuple that stands for a storage.
        strangers: every unknown name in the pickles.
        instances: every object of an unknown class.
    """

    known: Mapping[tuple[str, str], Callable[..., Any]]
    persistent: Callable[[Any], Any]
    strangers: dict[Name, None] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    _stack: list[Any] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _memo: dict[int, Any] = field(default_factory=dict)

    def run(self, file: BinaryIO) -> Any:
        """Run the pickle at the file's position, and leave the file positioned after it.

        Raises:
            Refused: with the reason; damage may raise any exception.
        """
        self._stack, self._marks, self._memo = [], [], {}
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if steps % _STEPS == 0:
                limits.work(_STEPS)
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name not in _OPERATIONS:
                reason = "which tensors and containers do not need"
                raise Refused(f"it uses the opcode {opcode.name}, {reason}")
            _OPERATIONS[opcode.name](self, argument)
        raise Refused("it is cut off")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise Refused(f"it has a number of {value.bit_length():,} bits")
        self._stack.append(value)

    def _pop(self, kind: type = object) -> Any:
        return _insist(self._stack.pop(), kind)

    def _top(self, kind: type = object) -> Any:
        return _insist(self._stack[-1], kind)

    def _above_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _last(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _extend(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _dict(self) -> None:
        pairs = self._above_mark()
        self._push({})
        self._update(pairs)

    def _update(self, pairs: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, (str, int, float)):  # deep tuples would overflow hash()
                raise Refused(f"it has a dict with a key of type {type(key).__name__}")
            target[key] = value

    def _push_name(self, module: str, name: str) -> None:
        make = self.known.get((module, name))
        found = Name(module, name)
        if make is None:
            self.strangers.setdefault(found)
        self._push(found if make is None else Known(found, make))

    def _reduce(self) -> None:
        arguments, function = self._pop(tuple), self._pop()
        if not isinstance(function, Known):
            raise Refused(f"it calls {function}" if isinstance(function, Name) else "it calls data")
        self._push(function.make(*arguments))

    def _new(self) -> None:
        arguments, kind = self._pop(), self._pop()
        if isinstance(kind, Known):
            self._push(kind.make(*_insist(arguments, tuple)))
        elif isinstance(kind, Name) and arguments == ():
            self.instances.append(Instance(kind))
            self._push(self.instances[-1])
        else:
            raise Refused(f"it makes an object of {brief(kind)}")

    def _build(self) -> None:
        state = self._pop()
        if isinstance(self._top(), Instance):
            self._top().state = state
        # Other objects with state, the versions in a state_dict's _metadata, are not needed.

    def _memoize(self, index: int | None = None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._top()


def _insist(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"it is damaged: {kind.__name__} expected, {type(value).__name__} found")
    return value


_LITERALS = (
    *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
_OPERATIONS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(_LITERALS, Machine._push_literal),
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "MARK": lambda machine, _: machine._marks.append(len(machine._stack)),
    "POP": lambda machine, _: machine._pop(),
    "POP_MARK": lambda machine, _: machine._above_mark(),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._above_mark())),
    "TUPLE1": lambda machine, _: machine._push(tuple(machine._last(1))),
    "TUPLE2": lambda machine, _: machine._push(tuple(machine._last(2))),
    "TUPLE3": lambda machine, _: machine._push(tuple(machine._last(3))),
    "LIST": lambda machine, _: machine._push(machine._above_mark()),
    "APPEND": lambda machine, _: machine._extend(machine._last(1)),
    "APPENDS": lambda machine, _: machine._extend(machine._above_mark()),
    "DICT": lambda machine, _: machine._dict(),
    "SETITEM": lambda machine, _: machine._update(machine._last(2)),
    "SETITEMS": lambda machine, _: machine._update(machine._above_mark()),
    "GLOBAL": lambda machine, text: machine._push_name(*text.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine._push_name(
        *(_insist(text, str) for text in machine._last(2))
    ),
    "REDUCE": lambda machine, _: machine._reduce(),
    "NEWOBJ": lambda machine, _: machine._new(),
    "BUILD": lambda machine, _: machine._build(),
    "BINPERSID": lambda machine, _: machine._push(machine.persistent(machine._pop())),
    "MEMOIZE": lambda machine, _: machine._memoize(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._memoize),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, index: m._push(m._memo[index])),
}
"""What each opcode does; the argument is the one that ``pickletools`` read for it."""
