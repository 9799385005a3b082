"""What workers can reach, and what nothing that they decode can."""

from __future__ import annotations

from mediactl.pool.process import network_environment, worker_environment

CANARY = "canary-credential"
PARENT = {
    "AWS_ACCESS_KEY_ID": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY, "HOME": f"/home/{CANARY}", "TOKEN": CANARY,
    "MEDIACTL_DRAIN_URL": f"http://{CANARY}@localhost", "SSH_AUTH_SOCK": f"/run/{CANARY}",
    "PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "/plug-ins", "MEDIACTL_FFMPEG": "/opt/ffmpeg",
}  # fmt: skip


def test_workers_inherit_no_credentials_but_the_one_that_uploads() -> None:
    inherited = worker_environment(PARENT)
    assert CANARY not in str(inherited)
    assert {
        name: PARENT[name] for name in ("PATH", "LC_ALL", "PYTHONPATH", "MEDIACTL_FFMPEG")
    }.items() <= inherited.items()
    assert PARENT.items() <= network_environment(PARENT).items()
