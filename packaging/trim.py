"""Remove from an environment what mediactl never reads: models of AWS services other than those of S3 and of logins.

    python packaging/trim.py /opt/mediactl

botocore's models take 18 MB (1.43), of which 0.3 MB remain. Other programs in the same environment may need them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

KEPT = frozenset({"s3", "sso", "sso-oidc", "sts", "signin"})
"""Services whose models botocore loads to find credentials and buckets."""


def trim(environment: Path) -> int:
    """Remove the models below an environment; return the number of bytes."""
    removed = 0
    for data in environment.glob("lib/python3.*/site-packages/botocore/data"):
        for service in (path for path in data.iterdir() if path.is_dir() and path.name not in KEPT):
            removed += sum(file.stat().st_size for file in service.rglob("*") if file.is_file())
            shutil.rmtree(service)
    return removed


if __name__ == "__main__":
    print(f"removed {trim(Path(sys.argv[1])) / 1e6:.0f} MB of models of AWS services")
