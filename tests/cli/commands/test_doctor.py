"""What doctor says of the precisions of prediction."""

from __future__ import annotations

import pytest

from textrnn.cli.commands import doctor

LACKS = {"fp32": None, "bf16": "no bfloat16 today", "int8": None}


def test_it_names_the_precisions_and_why_one_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("textrnn.inference.linear.missing_support", LACKS.get)
    doctor.doctor_command()
    lines = capsysbinary.readouterr().out.decode().splitlines()
    at = lines.index("prediction     in fp32, int8")
    assert lines[at + 1] == "               not in bf16: no bfloat16 today"
    assert lines[at + 2].startswith("cache ")
