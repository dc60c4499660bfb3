"""The whole of Hermes under one clock: real shells and cores over simulated streams, disks, clocks and random bytes."""
