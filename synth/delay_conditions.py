"""What a delay is measured under: who drives the inputs, what hangs at the outputs, wires."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from ..formats.errors import DataError, LibraryError, UsageError
from .cells import INVERTER, Cell, CellKind, CellLibrary, OutputPin

#: The load at each output, in inputs of the library's smallest inverter.
DEFAULT_FAN_OUT = 4
#: In place of a driving cell: ideal inputs, which switch at time 0 with the stated slew.
NO_DRIVER = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Conditions as a user states them; None stands for the library's default.

    ``load_ff`` hangs at each output bit (default: four inputs of the smallest inverter).
    ``driver`` names the cell that drives each input bit: a flip-flop on the same clock, whose
    clock-to-output delay then counts (default: the library's :attr:`~.CellLibrary.
    best_flip_flop`), a buffer or inverter whose own input switches at time 0 with
    ``input_slew_ps``, or :data:`NO_DRIVER`. The clock is ideal: it reaches every flip-flop at time
    0 with ``clock_slew_ps``. Both slews are by default the second of the library's grid, at which
    the setup times were read too. ``wires``: whether nets carry the library's default wire load
    (capacitance alone), where it has one.
    """

    load_ff: float | None = None
    driver: str | None = None
    input_slew_ps: float | None = None
    clock_slew_ps: float | None = None
    wires: bool = True

    def resolve(self, library: CellLibrary) -> "Resolved":
        """Return the conditions in numbers for one library.

        Raises :class:`LibraryError` where the library has no timing or lacks the driver, and
        :class:`UsageError` for a number that makes no sense or a driver of several inputs.
        """
        if not library.is_timed:
            raise LibraryError(
                f"The library {library.name} lacks delays, so no critical path can be measured; "
                "give a Liberty file with timing tables."
            )
        for name in ("load_ff", "input_slew_ps", "clock_slew_ps"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1e9:
                raise UsageError(f"{name} is {value!r}; it must be a number from 0 up.")
        usual = library.slews[min(1, len(library.slews) - 1)]
        load = self.load_ff
        if load is None:
            load = DEFAULT_FAN_OUT * inverter_capacitance(library)
        driver = library.best_flip_flop.name if self.driver is None else self.driver
        if driver != NO_DRIVER:
            driving_pins(library.cell(driver))
        return Resolved(
            load_ff=float(f"{load:.9g}"),
            driver=driver,
            input_slew_ps=usual if self.input_slew_ps is None else self.input_slew_ps,
            clock_slew_ps=usual if self.clock_slew_ps is None else self.clock_slew_ps,
            wires=self.wires and library.wire_load is not None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """:class:`Conditions` with every default filled in; ``wires`` where there are any."""

    load_ff: float
    driver: str
    input_slew_ps: float
    clock_slew_ps: float
    wires: bool

    def to_json(self) -> dict[str, object]:
        """Return the record as JSON types; :meth:`from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: object) -> "Resolved":
        """Rebuild a record of :meth:`to_json`; raises :class:`DataError`."""
        if not isinstance(record, Mapping) or set(record) != {f.name for f in fields(cls)}:
            raise DataError(f"The delay's conditions are {record!r:.80}, which is no such record.")
        values = dict(record)
        for name, value in values.items():
            wanted = {"driver": str, "wires": bool}.get(name, (int, float))
            if not isinstance(value, wanted) or (name.endswith(("ff", "ps")) and value is True):
                raise DataError(f"The delay's {name} is {value!r:.60}, of the wrong type.")
        return cls(**values)


def inverter_capacitance(library: CellLibrary) -> float:
    """Return the input capacitance (fF) of the library's smallest inverter."""
    found = library.with_truth_table(1, INVERTER)
    if not found:
        raise LibraryError(f"The library {library.name} has no inverter, so state the load in fF.")
    return found[0].inputs[0].capacitance


def driving_pins(cell: Cell) -> tuple[str, OutputPin]:
    """Return the pin that a driving cell switches by, and the output that it drives with.

    Raises :class:`UsageError` where the cell is neither a flip-flop nor of one input.
    """
    if cell.flip_flop is not None and cell.is_plain_flip_flop():
        true = [pin for pin in cell.outputs if pin.function.name == "IQ"]
        return cell.flip_flop.clocked_on.pins()[0], (true or list(cell.outputs))[0]
    if cell.kind is CellKind.COMBINATIONAL and len(cell.inputs) == len(cell.outputs) == 1:
        return cell.inputs[0].name, cell.outputs[0]
    raise UsageError(
        f"{cell.name} cannot drive the inputs; name a flip-flop, a buffer or an inverter."
    )
