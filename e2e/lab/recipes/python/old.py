"""Copies Debian's Python packages to where Debian does not own them.

Versions become old ones, and metadata takes the forms in which pip leaves it.
"""
import importlib.metadata
import pathlib
import re
import shutil

DEBIAN = "/usr/lib/python3/dist-packages"
SITE = pathlib.Path("/opt/venv/lib/python3.11/site-packages")
OLD = {
    "django": "2.2.0",
    "flask": "0.12.2",
    "jinja2": "2.10",
    "pillow": "8.1.0",
    "pyyaml": "5.1",
    "requests": "2.19.1",
    "sqlalchemy": "1.2.17",
    "urllib3": "1.24.1",
    "werkzeug": "0.15.2",
}

SITE.mkdir(parents=True)
for dist in importlib.metadata.distributions(path=[DEBIAN]):
    name = dist.metadata["Name"]
    version = OLD.get(name.lower(), dist.version)
    text = dist.read_text("METADATA") or dist.read_text("PKG-INFO")
    info = SITE / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)  # a package may be listed twice
    (info / "METADATA").write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", text, count=1))
    (info / "INSTALLER").write_text("pip\n")
    for module in (dist.read_text("top_level.txt") or "").split():
        if (source := pathlib.Path(DEBIAN, module)).is_dir():
            shutil.copytree(source, SITE / module, dirs_exist_ok=True)
