"""A small layer of Diehl and Cook 2015 in Brian 2: what `test_stdp_diehl_cook.py` holds ours against. Brian 2 is no dependency.

pip install brian2 "numpy<2" && python diehl_cook_in_brian.py
"""

import numpy as np


def main():
    """Run it, and print what came of it."""
    import brian2 as b

    N_INPUTS, N_UNITS, N_STEPS = 6, 3, 600
    WEIGHTS = [[0.69, 0.31, 0.52], [0.4, 0.81, 0.7], [0.8, 0.39, 0.39], [0.32, 0.7, 0.8], [0.85, 0.51, 0.32], [0.3, 0.56, 0.85]]

    b.prefs.codegen.target = "numpy"
    b.defaultclock.dt = 0.5 * b.ms
    times, inputs = np.nonzero([[(t * (i + 3) + 5 * i) % 17 < 2 for i in range(N_INPUTS)] for t in range(N_STEPS)])
    outside = b.SpikeGeneratorGroup(N_INPUTS, inputs, times * 0.5 * b.ms)
    excitatory = b.NeuronGroup(
        N_UNITS,
        """dv/dt = ((-65*mV - v) + ge*(0*mV - v) + gi*(-100*mV - v))/(100*ms) : volt
    dge/dt = -ge/(1*ms) : 1
    dgi/dt = -gi/(2*ms) : 1
    theta : volt
    dtimer/dt = 1 : second""",
        threshold="v > theta - 72*mV and timer > 5*ms",
        reset="v = -65*mV; theta += 1*mV; timer = 0*ms",
        method="euler",
    )
    inhibitory = b.NeuronGroup(
        N_UNITS,
        """dv/dt = ((-60*mV - v) + ge*(0*mV - v) + gi*(-85*mV - v))/(10*ms) : volt (unless refractory)
    dge/dt = -ge/(1*ms) : 1
    dgi/dt = -gi/(2*ms) : 1""",
        threshold="v > -40*mV",
        reset="v = -45*mV",
        refractory=2 * b.ms,
        method="euler",
    )
    excitatory.v, inhibitory.v, excitatory.theta, excitatory.timer = -65 * b.mV, -60 * b.mV, 20 * b.mV, 1 * b.second
    plastic = b.Synapses(
        outside,
        excitatory,
        """w : 1
    slow_before : 1
    dpre/dt = -pre/(20*ms) : 1 (clock-driven)
    dfast/dt = -fast/(20*ms) : 1 (clock-driven)
    dslow/dt = -slow/(40*ms) : 1 (clock-driven)""",
        on_pre="ge_post += w; pre = 1.; w = clip(w - 0.02*fast, 0, 1)",
        on_post="slow_before = slow; w = clip(w + 0.1*pre*slow_before, 0, 1); fast = 1.; slow = 1.",
        method="exact",
    )
    plastic.connect()
    plastic.w = np.ravel(WEIGHTS)
    driving = b.Synapses(excitatory, inhibitory, on_pre="ge_post += 10.4")
    driving.connect(j="i")
    holding_back = b.Synapses(inhibitory, excitatory, on_pre="gi_post += 17.0")
    holding_back.connect(condition="i != j")
    of_excitatory, of_inhibitory = b.SpikeMonitor(excitatory), b.SpikeMonitor(inhibitory)
    potentials = b.StateMonitor(excitatory, "v", record=True)
    b.run(N_STEPS * 0.5 * b.ms)
    for monitor in (of_excitatory, of_inhibitory):
        print(sorted(zip(np.round(monitor.t / (0.5 * b.ms)).astype(int).tolist(), np.array(monitor.i).tolist(), strict=True)))
    print(np.array(plastic.w).reshape(N_INPUTS, N_UNITS).round(8).tolist())
    print(np.array(excitatory.theta / b.mV).tolist())
    print(np.array(potentials.v / b.mV)[:, :320:40].round(6).tolist())


if __name__ == "__main__":
    main()
