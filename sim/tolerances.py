"""Every tolerance of the project, in one place, each with its reason."""

POWER_KW = 1e-6
"""Equality of powers in a clearing [kW]: far below a meter's resolution, far above the rounding of 10^4 float additions."""

PRICE_PER_KWH = 1e-9
"""Equality of prices [currency/kWh]: a thousandth of the smallest price step a tariff uses."""

BALANCE_KW = 1e-3
"""Power flow residual |slack + generation - load - losses| allowed per feeder and interval [kW]: 1 W."""

LOADING = 1e-4
"""A loading counts as above its limit only beyond this share of the rating."""

REFERENCE_PU = 1e-6
"""Difference in any voltage to the reference power flow [per unit] beyond which a run must not go on."""

VOLTAGE_PU = 1e-5
"""A voltage counts as outside its band only beyond this: a tenth of what a voltmeter of class 0.01 shows."""

POWER_FLOW_MVA = 1e-8
"""Newton mismatch at which a power flow counts as solved [MVA]; 1e-4 would leave 117 W unexplained."""
