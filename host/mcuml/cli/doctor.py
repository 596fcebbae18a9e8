"""`mcuml doctor`: what is installed, what is missing, and the command that brings it."""


def doctor() -> None:
    """Show what is installed, and the commands that bring the rest. Exit 5 if mcuml cannot build."""
    import typer

    from mcuml import build, report
    from mcuml import doctor as checks
    from mcuml.cli._console import show
    from mcuml.errors import BuildError

    rows = checks.check(build.cache_folder())
    show(report.doctor(rows))
    if any(row.needed and not row.ok for row in rows):
        raise typer.Exit(BuildError.exit_code)
