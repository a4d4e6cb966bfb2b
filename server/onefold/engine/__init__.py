"""The engine: the order of steps. Load, gate, resolve, save; and everything else that drives the one resolver."""
