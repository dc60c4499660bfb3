"""The node: gRPC, TLS, files and timers around the sans-IO core, in rooms that import each other in no circle.

`lifecycle` puts everything together and is imported by nobody; `config`, `errors` and `logs` are imported by all.
"""
