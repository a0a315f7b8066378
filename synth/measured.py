"""A MAC's delay and power as one record, and in words under what they were measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from .delay import Delay
from .delay_conditions import NO_DRIVER, Resolved
from .power import Power


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A MAC's delay and power; None where there is none, and ``unmeasured`` says why."""

    delay: Delay | None = None
    power: Power | None = None
    unmeasured: str = ""

    @property
    def delay_ps(self) -> float | None:
        """The critical path."""
        return None if self.delay is None else self.delay.ps

    @property
    def delay_method(self) -> str:
        """The engine and its version; empty without a delay."""
        return "" if self.delay is None else self.delay.method

    @property
    def energy_fj(self) -> float | None:
        """Energy a product, with glitches and leakage."""
        return None if self.power is None else _rounded(self.power.energy_fj)

    @property
    def energy_zero_delay_fj(self) -> float | None:
        """Dynamic energy a product if no gate had a delay."""
        return None if self.power is None else _rounded(self.power.zero_delay.total_fj)

    @property
    def power_uw(self) -> float | None:
        """Power at the stated frequency."""
        return None if self.power is None else _rounded(self.power.power_uw)

    @property
    def megahertz(self) -> float | None:
        """The stated frequency."""
        return None if self.power is None else self.power.megahertz

    @property
    def leakage_nw(self) -> float | None:
        """Leakage."""
        return None if self.power is None else self.power.leakage_nw

    @property
    def conditions(self) -> Mapping[str, str]:
        """What was measured under which conditions, in words."""
        one = self.delay or self.power
        if one is None:
            return {}
        said = {
            "corner": f"process {one.process:g}, {one.voltage:g} V, {one.temperature:g} °C",
            **_surroundings(one.conditions),
        }
        if self.power is not None:
            said |= {"data": self.power.data, "energies": self.power.method}
        return said


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def _surroundings(conditions: Resolved) -> dict[str, str]:
    driver = conditions.driver
    return {
        "load": f"{conditions.load_ff:.4g} fF at each output bit",
        "inputs": (
            f"ideal, slew {conditions.input_slew_ps:.4g} ps"
            if driver == NO_DRIVER
            else f"driven by {driver}, slew before it {conditions.input_slew_ps:.4g} ps"
        ),
        "clock": f"ideal, slew {conditions.clock_slew_ps:.4g} ps",
        "wires": "the library's default wire load" if conditions.wires else "none",
    }
