"""How many files this process and those it starts may hold open; connections of visitors count among them."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

ENOUGH = 4096
MACOS_MOST = 10_240  # more than this it refuses, though it names no limit


def raise_limit() -> str:
    """Allow as many open files as the system lets this user; one sentence if they are few, else nothing."""
    if resource is None:
        return ""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, MACOS_MOST):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
            break
        except (ValueError, OSError):
            continue
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH:
        return ""
    return (
        f"The system lets this user open {soft:,} files at once, which is enough for about {soft // 8:,} visitors at the "
        f"same time. For more, raise its hard limit (`ulimit -Hn`) to {ENOUGH:,} and start the app again."
    )
