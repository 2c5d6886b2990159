"""A pickle machine that computes containers and nothing else: it imports and calls nothing.

Python's own unpickler imports whatever a file names and calls it, which is how a "model" from a
stranger runs a program; and a single opcode can make it allocate all memory. This one knows lists,
tuples, dicts, strings and numbers. A name in the file is looked up in a table of constructors that
the caller hands in; every other name stays a name.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST_STEPS = 2_000_000
"""Opcodes; a checkpoint of a thousand tensors takes some hundred thousand."""

_DAMAGE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError,
           struct.error)  # fmt: skip
"""What wrong arguments in a file make Python raise."""


class Refused(ValueError):
    """The pickle is damaged, or asks for what this machine does not do."""


@dataclass(frozen=True)
class Name:
    """A global of Python that the pickle names: ``collections OrderedDict``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"[:100]


@dataclass(frozen=True)
class Known:
    """A name that the table knows: what it makes of its arguments."""

    name: Name
    make: Callable[..., Any]


@dataclass
class Instance:
    """An object of a class that nobody imported: its state as the pickle holds it."""

    kind: Name
    state: Any = None


@dataclass
class Machine:
    """Runs pickles.

    Attributes:
        known: what may be called, by module and name.
        persistent: makes something of a persistent id, the tuple that stands for a storage.
        strangers: every unknown name that was met and not used as the class of an instance.
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
        """Run one pickle, which begins where ``file`` stands, and leave the file behind it.

        Raises:
            Refused: with the reason.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            for steps, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if steps > MOST_STEPS:
                    raise Refused(f"it has more than {MOST_STEPS:,} steps")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except Refused:
            raise
        except _DAMAGE as error:
            raise Refused(f"it is damaged: {str(error)[:100]}") from None
        raise Refused("it is cut off")

    def _step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode]())
        elif (handler := _HANDLERS.get(opcode)) is not None:
            handler(self, argument)
        else:
            raise Refused(f"it uses the opcode {opcode}, which tensors and containers do not need")

    def _above_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._above_mark()

    def _tuple(self, count: int | None) -> None:
        items = self._above_mark() if count is None else [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(items if count is None else reversed(items)))

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        _insist(self._stack[-1], list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._above_mark()
        _insist(self._stack[-1], list).extend(items)

    def _list(self, _: Any) -> None:
        self._stack.append(self._above_mark())

    def _dict(self, _: Any) -> None:
        pairs = self._above_mark()
        self._stack.append({})
        self._update(pairs)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _set_items(self, _: Any) -> None:
        self._update(self._above_mark())

    def _update(self, pairs: list[Any]) -> None:
        target = _insist(self._stack[-1], dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, (str, int, float)):  # deep tuples would overflow hash()
                raise Refused(f"it has a dict with a key of type {type(key).__name__}")
            target[key] = value

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_name(Name(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = _insist(self._stack.pop(), str), _insist(self._stack.pop(), str)
        self._push_name(Name(module, name))

    def _push_name(self, name: Name) -> None:
        make = self.known.get((name.module, name.name))
        if make is None:
            self.strangers.setdefault(name)
        self._stack.append(name if make is None else Known(name, make))

    def _reduce(self, _: Any) -> None:
        arguments, function = _insist(self._stack.pop(), tuple), self._stack.pop()
        if not isinstance(function, Known):
            raise Refused(f"it calls {function}" if isinstance(function, Name) else "it calls data")
        self._stack.append(function.make(*arguments))

    def _new(self, _: Any) -> None:
        arguments, kind = self._stack.pop(), self._stack.pop()
        if isinstance(kind, Known):
            self._stack.append(kind.make(*_insist(arguments, tuple)))
        elif isinstance(kind, Name) and arguments == ():
            self.instances.append(Instance(kind))
            self._stack.append(self.instances[-1])
        else:
            raise Refused(f"it makes an object of {str(kind)[:100]}")

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        if isinstance(self._stack[-1], Instance):
            self._stack[-1].state = state
        # What else has state (the versions in a state_dict's _metadata) is of no use here.

    def _persistent_id(self, _: Any) -> None:
        self._stack.append(self.persistent(self._stack.pop()))

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])


def _insist(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"it is damaged: {kind.__name__} expected, {type(value).__name__} found")
    return value


_LITERALS = frozenset(
    (
        *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_HANDLERS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": Machine._mark,
    "POP": Machine._pop,
    "POP_MARK": Machine._pop_mark,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "SETITEM": Machine._set_item,
    "SETITEMS": Machine._set_items,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._new,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent_id,
    "PUT": Machine._put,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._memoize,
    "GET": Machine._get,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
}
"""What each opcode does; the argument is what ``pickletools`` read for it."""
