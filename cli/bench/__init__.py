"""The benches: real parts on simulated load, measured from outside."""
