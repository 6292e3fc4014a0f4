"""The checks of check.sh that need a parser: check.py json|yaml|includes|metrics|compose.

Prints what is wrong, or what was left out, and exits 1 when something is wrong.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
USERS_OF_METRICS = [
    DEPLOY / "grafana/dashboard.json",
    DEPLOY / "prometheus/alerts.yml",
    DEPLOY / "prometheus/alerts_test.yml",
]


def name(path):
    return path.relative_to(ROOT)


def sources():
    return sorted((ROOT / "crates").glob("*/src/**/*.rs"))


def check_json():
    for path in sorted(DEPLOY.rglob("*.json")):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            yield f"{name(path)}: {error}"


def check_yaml():
    import yaml

    for path in sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")]):
        try:
            yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            yield f"{name(path)}: {error}"


def check_includes():
    """A file that is compiled in but not copied breaks only the image's build."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    copied = [ROOT / path for line in copied for path in line.split()]
    for source in sources():
        for path in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text()):
            file = (source.parent / path).resolve()
            if not any(file == parent or file.is_relative_to(parent) for parent in copied):
                yield f"{name(source)}: {path} is not copied by the Dockerfile"


def check_metrics():
    """Names are written as "giro_x", or as "x" and prefixed where they are registered."""
    texts = [source.read_text() for source in sources()]
    # Other files have words like "lanes" as literals too.
    literals = {
        literal
        for text in texts
        if "prometheus" in text
        for literal in re.findall(r'"(?:giro_)?([a-z0-9_]+)"', text)
    }
    for path in USERS_OF_METRICS:
        used = set(re.findall(r"\b(?:giro|process)_[a-z0-9_]+", path.read_text()))
        if not used:
            yield f"{name(path)}: no metric found, this check is broken"
        for metric in sorted(used):
            if metric.startswith("process_"):
                print(f"not checked: {metric} ({path.name}) is the process collector's")
                continue
            base = metric.removeprefix("giro_")
            if not literals & {base, re.sub(r"_(bucket|count|sum)$", "", base)}:
                yield f"{name(path)}: no source registers {metric}"


def check_compose():
    import yaml

    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service, keys in compose["services"].items():
        for port in keys.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{service}: port {port} is published beyond 127.0.0.1"
        for key in ("mem_limit", "cpus", "pids_limit"):
            if key not in keys:
                yield f"{service}: no {key}"
        for volume in keys.get("volumes", []):
            source = volume.split(":")[0] if isinstance(volume, str) else volume.get("source", "")
            if source.startswith(".") and not (DEPLOY / source).exists():
                yield f"{service}: {source} does not exist"
    for secret, keys in compose["secrets"].items():
        if not (DEPLOY / keys["file"]).is_file():
            yield f"secret {secret}: {keys['file']} does not exist"


CHECKS = {
    "json": check_json,
    "yaml": check_yaml,
    "includes": check_includes,
    "metrics": check_metrics,
    "compose": check_compose,
}

wrong = list(CHECKS[sys.argv[1]]())
print(*wrong, sep="\n", end="\n" if wrong else "")
sys.exit(bool(wrong))
