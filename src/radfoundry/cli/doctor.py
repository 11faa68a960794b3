"""`radfoundry doctor SRC`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def doctor(src: Path, *, table: Path | None = None, json: bool = False) -> Any:
    """Say what is in a folder, what is wrong with it, and what can be built from it.

    Parameters
    ----------
    src
        A folder or file, or the address of a DICOMweb server.
    table
        A CSV as for `build`.
    json
        Print one object a finding and then a summary, as JSON lines.
    """
    import tempfile
    from collections import Counter

    from radfoundry import anatomy
    from radfoundry.cli import console
    from radfoundry.cli.opening import on_disk
    from radfoundry.studies.doctor import doctor as examine

    ranges = {r.name: r.hu_range for r in anatomy.regions() if r.hu_range}
    numbering = {int(row.value): row.region.name for row in anatomy.crosswalk("totalsegmentator_v2").mappings}
    findings = []
    with tempfile.TemporaryDirectory(prefix="radfoundry-doctor-") as keep:
        for finding in examine(on_disk(src, Path(keep)), table, plausible_hu=ranges, numbering=numbering):
            findings.append(finding)
            if json:
                console.say_json({k: getattr(finding, k) for k in ("path", "level", "code", "reason", "mend")})
    levels = Counter(f.level for f in findings)
    if json:
        console.say_json({"summary": dict(levels), "findings": len(findings)})
        return findings
    console.say_table(
        str(src),
        ["level", "what", "code", "reason", "mend"],
        [(f.level, f.path, f.code, f.reason, f.mend) for f in findings],
    )
    console.say_next(f"radfoundry build grounded-report {src} OUT")
    return findings
