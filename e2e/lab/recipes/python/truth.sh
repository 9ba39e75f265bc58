dpkg-query --show --showformat='${db:Status-Status} deb ${Package} ${Version}\n' | sed -n "s/^installed //p"
python3 - <<'END'
import importlib.metadata
for kind, path in ("pypi", "/opt/venv/lib/python3.11/site-packages"), ("pypi-dist", "/usr/lib/python3/dist-packages"):
    for dist in importlib.metadata.distributions(path=[path]):
        print(kind, dist.metadata["Name"], dist.version)
END
