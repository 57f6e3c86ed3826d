"""Say whether this computer is ready to record: ``flex-capture doctor``."""

from __future__ import annotations

import click


@click.command(short_help="Check whether this computer is ready to record.")
def doctor() -> int:
    """Check the installation: rooms, LSL, video, drivers, disk; say what to do about each finding."""
    from capture.health import health_report

    findings = 0
    for check in health_report():
        mark = "ok  " if check.ok else "FIND"
        findings += not check.ok
        click.echo(f"{mark}  {check.what}: {check.found}")
        if not check.ok:
            click.echo(f"      -> {check.advice}")
    click.echo("ready to record" if not findings else f"findings: {findings}")
    return 1 if findings else 0
