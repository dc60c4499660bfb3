"""The verified rolling restart: a pure state machine."""
