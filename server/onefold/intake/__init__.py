"""Intake: one module per wire format, each turning what arrived into `core.event.Event`."""
