"""Tests of `alerts.handshakes`: each burn rate alone, the floor, the short window that ends an alert soon."""

from __future__ import annotations

from alerts.cases import MESH, At, Case, Firing, M, never

ALERT = "HermesHandshakeFailureRatioHigh"
FACTORS = {
    "1h": ("5m", "14.4", "critical"),
    "6h": ("30m", "6", "critical"),
    "1d": ("2h", "3", "warning"),
    "3d": ("6h", "1", "warning"),
}


def series(ok: str, failed: str, refused: str = "0x6000") -> dict[str, str]:
    name = "hermes_handshakes_total"
    return {
        f'{name}{{{M},pod="a-0",role="initiator",result="ok",reason="none"}}': ok,
        f'{name}{{{M},pod="a-0",role="initiator",result="failed",reason="ROUTE_UNAVAILABLE"}}': failed,
        f'{name}{{{M},pod="a-1",role="responder",result="refused",reason="TARGET_OFFLINE"}}': refused,
    }


def burns(**shares: str) -> tuple[Firing, ...]:
    """`_1h="2%"`: the one-hour alert fires with this share."""
    found = []
    for window, share in shares.items():
        long = window.lstrip("_")
        short, factor, severity = FACTORS[long]
        text = (
            f"{share} of chat openings in chat/a failed over {long}: "
            f"the 99.9% objective's budget burns {factor} times too fast or more."
        )
        found.append(Firing(severity, text, {**MESH, "long": long, "short": short}))
    return tuple(found)


def changing(*parts: tuple[int, int, int]) -> dict[str, str]:
    """(minutes, ok a minute, failed a minute), one part after the other."""
    ok: list[str] = []
    failed: list[str] = []
    sums = [0, 0]
    for minutes, good, bad in parts:
        for texts, which, step in ((ok, 0, good), (failed, 1, bad)):
            texts.append(f"{sums[which]}+{step}x{minutes - 1}")
            sums[which] += step * minutes
    return series(" ".join(ok), " ".join(failed))


RECOVERED = (
    Case(
        "the short window ends the fastest alert soon",
        ALERT,
        changing((50, 800, 200), (40, 995, 5)),
        (At("75m", burns(_6h="13.5%", _1d="13.5%")),),
    ),
    Case("and the second", ALERT, changing((60, 800, 200), (90, 997, 3)), (At("130m", burns(_1d="9.392%")),)),
    Case("and the third", ALERT, changing((60, 800, 200), (160, 9985, 15)), (At("200m", burns(_3d="0.9658%")),)),
    never("and the last", ALERT, changing((60, 800, 200), (400, 9995, 5)), "440m"),
)
SUDDEN = (
    never("a short burst does not matter yet to the fastest alert", ALERT, changing((60, 1000, 0), (30, 950, 50)), "69m"),
    never("nor to the second", ALERT, changing((300, 1000, 0), (120, 990, 10)), "400m"),
    never("nor to the third", ALERT, changing((900, 1000, 0), (260, 995, 5)), "1150m"),
    never("nor to the last", ALERT, changing((1500, 1000, 0), (470, 998, 2)), "1950m"),
)

CASES = (
    *RECOVERED,
    *SUDDEN,
    Case(
        "2% from the start: every window, each after its own time",
        ALERT,
        series("0+98x400", "0+2x400"),
        (
            At("1m"),
            At("14m", burns(_1h="2%")),
            At("40m", burns(_1h="2%", _6h="2%")),
            At("130m", burns(_1h="2%", _6h="2%", _1d="2%")),
            At("5h", burns(_1h="2%", _6h="2%", _1d="2%", _3d="2%")),
        ),
    ),
    Case(
        "a sudden failure waits two minutes",
        ALERT,
        series("0+98x400", "0x60 1000+1000x300"),
        (At("62m"), At("66m", burns(_1h="50.51%"))),
    ),
    Case("0.9%", ALERT, series("0+991x600", "0+9x600"), (At("8h", burns(_6h="0.9%", _1d="0.9%", _3d="0.9%")),)),
    Case("0.4%", ALERT, series("0+996x600", "0+4x600"), (At("8h", burns(_1d="0.4%", _3d="0.4%")),)),
    Case("0.2%", ALERT, series("0+998x600", "0+2x600"), (At("8h", burns(_3d="0.2%")),)),
    never("within the objective", ALERT, series("0+9991x600", "0+9x600"), "14m", "40m", "130m", "8h"),
    never("refused by the apps is no failure", ALERT, series("0+98x600", "0x600", "0+50x600"), "14m", "40m", "130m", "8h"),
    never(
        "five failures are below the floor, whatever their share",
        ALERT,
        series("0+0.05x600", "0x9 1x9 2x9 3x9 4x9 5x600"),
        "34m",
        "52m",
        "58m",
        "110m",
        "5h",
    ),
    Case(
        "thirty failures in half an hour count",
        ALERT,
        series("0+10x60", "0+1x60"),
        (At("30m", burns(_1h="9.091%", _6h="9.091%")),),
    ),
    Case(
        "thirty failures in two hours count",
        ALERT,
        series("0+2.5x200", "0+0.25x200"),
        (At("2h", burns(_1h="9.091%", _6h="9.091%", _1d="9.091%")),),
    ),
    Case(
        "thirty failures in five hours count for the slowest",
        ALERT,
        series("0+1x400", "0+0.1x400"),
        (At("5h", burns(_6h="9.091%", _1d="9.091%", _3d="9.091%")),),
    ),
)
