"""Protobuf on one side, core messages on the other: the codec shared by node and client."""
