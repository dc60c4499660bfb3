"""HTTP/2 and gRPC framing for full-duplex byte streams, served to strangers, without IO.

`connection.H2Connection` turns bytes into events and calls into bytes.
"""
