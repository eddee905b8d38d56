"""What is handed out for running the server fits the server: names, commands, paths, figures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring import __version__
from mainspring.cli.main import parser
from mainspring.core import limits
from mainspring.observe.metrics import Metrics
from mainspring.settings import ROLES, SETTINGS
from tidy.sources import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "mainspring"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FILES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DEPLOY.rglob("*.*"))}
COMPOSE = sorted(DEPLOY.glob("compose*.yaml"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")

# In the contract of 1.0, and no setting before the parts that they belong to.
ANNOUNCED = {"SUPER_TOKEN", "CRONTAB_AUTH", "CRONTAB_TIMEZONE", "QUEUE_AUTO_CREATE", "MAX_QUEUE_DEPTH", "RATE_LIMIT"}
# What troubleshooting quotes of others: SQLite, the system, Kubernetes' way to describe a Service.
QUOTED_FROM_OTHERS = {"attempt to write a readonly database", "Too many open files", "PORT cannot be"}


def unit() -> RawConfigParser:
    """Read the systemd unit; of settings that repeat, the last one."""
    read = RawConfigParser(strict=False, delimiters="=")
    read.optionxform = str  # type: ignore[assignment, method-assign]  # as the standard library documents it
    read.read(DEPLOY / "mainspring.service", encoding="utf-8")
    return read


def code_of(document: str) -> Iterator[str]:
    """Yield the lines of code blocks, continued ones as one, and the code inside sentences.

    There a command may be only mentioned, without its arguments: its help stands in for it.
    """
    blocks = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for block in blocks.findall(document):
        yield from block.replace("\\\n", " ").splitlines()
    for code in re.findall(r"`([^`\n]+)`", blocks.sub("", document)):
        yield f"{code} --help" if re.fullmatch(r"[a-z ]+", code) else code


def commands() -> Iterator[str]:
    """Yield every call of `mainspring` that the documents and the files name."""
    # After `run --rm` comes the service, which is called like the command it runs.
    prefix = re.compile(r"^docker compose (--file \S+ )?(exec mainspring|run --rm) ")
    for document in (OPERATIONS, (ROOT / "README.md").read_text(encoding="utf-8")):
        for line in code_of(document):
            command = prefix.sub("", line.strip())
            if command.startswith("mainspring "):
                yield command
    yield unit()["Service"]["ExecStart"]
    [check, start] = re.findall(r"^(?:  )?CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    yield shlex.join(json.loads(check))
    yield shlex.join(["mainspring", *json.loads(start)])


def exit_code(words: list[str]) -> int | str | None:
    """Parse a command line; returns what the process would exit with, 0 if it went on to work."""
    try:
        parser().parse_args(words)
    except SystemExit as ended:
        return ended.code
    return 0


def seconds(text: str) -> int:
    """`40s` → 40."""
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_every_command_named_is_one(command: str) -> None:
    words = shlex.split(command, comments=True)
    assert words[0].rpartition("/")[2] == "mainspring"
    assert exit_code(words[1:]) == 0


def test_the_commands_are_found() -> None:
    found = {" ".join(command.split()[:2]) for command in commands()}
    assert found >= {
        "mainspring health",
        "mainspring dev",
        "mainspring serve",
        "mainspring backup",
        "mainspring restore",
        "mainspring key",
    }


def test_every_setting_named_exists() -> None:
    known = {setting.name for setting in SETTINGS} | ANNOUNCED
    found = {
        f"{name}: {setting}"
        for name, text in {**FILES, "docs/operations.md": OPERATIONS, "deploy/Dockerfile": DOCKERFILE}.items()
        for setting in re.findall(r"MAINSPRING_([A-Z][A-Z0-9_]*)", text)
        if setting not in known
    }
    assert not found
    assert set(re.findall(r"MAINSPRING_ROLES=([a-z,]+)", OPERATIONS)) <= set(ROLES)


def test_every_metric_named_exists_and_every_metric_is_documented() -> None:
    metrics = {
        line.split()[2] for line in Metrics().text().decode().splitlines() if line.startswith("# TYPE mainspring_")
    }
    assert len(metrics) >= 15
    of_metric = re.compile(r"\bmainspring_[a-z_]+")
    watched = of_metric.findall(FILES["deploy/prometheus-rules.yaml"])
    rules = {re.sub(r"_(bucket|count|sum)$", "", name) for name in watched}
    assert rules
    assert rules <= metrics
    assert set(of_metric.findall(OPERATIONS)) == metrics


def test_log_lines_and_messages_are_quoted_as_they_are() -> None:
    log = (ROOT / "src" / "mainspring" / "observe" / "logs.py").read_text(encoding="utf-8")
    lines = re.findall(r"^\| `([^`]+)` \| (?:info|warning|error) \|", OPERATIONS, re.MULTILINE)
    assert len(lines) >= 7
    assert not [line for line in lines if f'"{line}"' not in log]
    speakers = [*(ROOT / "src").rglob("*.py"), DEPLOY / "entrypoint.sh"]
    said = "\n".join(path.read_text(encoding="utf-8") for path in speakers)
    symptoms = re.findall(r"^\| ([^|]+) \|", OPERATIONS.partition("## Troubleshooting")[2], re.MULTILINE)
    quoted = {text for symptom in symptoms for text in re.findall(r"`([^`]+ [^`]+)`", symptom)} - QUOTED_FROM_OTHERS
    assert len(quoted) >= 10
    assert not [text for text in quoted if text not in said]


def test_the_limits_in_the_table_are_those_in_force() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", OPERATIONS.partition("## Limits")[2], re.MULTILINE))
    kib, mib = 1024, 1024 * 1024
    in_force = {
        "body of a request": f"{limits.BODY_BYTES_MAX // mib} MiB",
        "payload of a job": f"{limits.PAYLOAD_BYTES_MAX // kib} KiB",
        "depth of JSON": f"{limits.JSON_DEPTH_MAX}",
        "idempotency key": f"{limits.IDEMPOTENCY_KEY_CHARS_MAX} characters, "
        f"kept {limits.IDEMPOTENCY_WINDOW // limits.HOUR} h",
        "page of a list": f"{limits.PAGE_MAX} items",
        "name, URL": f"{limits.NAME_CHARS_MAX}, {limits.URL_CHARS_MAX:,} characters",
        "retries": f"{limits.RETRY_MAX}; or a list of up to {limits.RETRY_DELAYS_MAX} delays, "
        f"each up to {limits.RETRY_DELAY_S_MAX // 86_400} days",
        "longest back-off, longest `Retry-After` obeyed": f"{limits.BACKOFF_MAX // limits.SECOND} s, "
        f"{limits.RETRY_AFTER_MAX // limits.HOUR} h",
        "timeout of an attempt": f"{limits.TIMEOUT_S_MAX} s",
        "answer read, kept": f"{limits.RESPONSE_BYTES_MAX // mib} MiB, {limits.RESPONSE_KEPT_BYTES // kib} KiB",
        "catch-up window": f"{limits.CATCHUP_WINDOW_S_MAX // 86_400} days",
        "instants caught up at once, runs waiting under overlap `queue`": f"{limits.CATCHUP_RUNS_MAX:,}, "
        f"{limits.OVERLAP_QUEUE_MAX:,}",
        "retention": f"{limits.RETENTION_DAYS_MAX:,} days, {limits.RETENTION_RUNS_MAX:,} runs a schedule",
        "attempts in flight: a node, one origin": f"{limits.SEATS:,}, {limits.SEATS_PER_ORIGIN}",
        "lease of a run": f"{limits.LEASE // limits.SECOND} s, renewed every {limits.HEARTBEAT // limits.SECOND} s",
    }
    assert {what: rows.get(what) for what in in_force} == in_force


# ----------------------------------------------------------------------------------------------------------- container


def test_the_image_is_built_from_files_that_exist_and_no_registry_is_named() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert images == ["python:${PYTHON}-slim"] * 2
    assert not re.findall(r"://([\w.-]+)", DOCKERFILE)
    assert not re.search(r"--index-url|--extra-index|--trusted-host", DOCKERFILE)
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources >= {"src", "pyproject.toml", "constraints.txt"}
    assert not [source for source in sources if not (ROOT / source).exists()]
    let_in = re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(let_in) == sources


def test_every_package_of_the_image_is_checked_against_the_lock() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?(download|install) (.+)", DOCKERFILE)
    assert installs
    for verb, rest in installs:
        assert ("--require-hashes" in rest) if verb == "download" else ("--no-index" in rest)


def test_the_container_is_nobody_in_particular_and_keeps_its_data_in_the_volume() -> None:
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", DOCKERFILE, re.MULTILINE)
    assert "MAINSPRING_DATA=/data" in DOCKERFILE
    assert "MAINSPRING_HOST=0.0.0.0" in DOCKERFILE
    assert re.search(r'^ENTRYPOINT \["/opt/mainspring/entrypoint"\]$', DOCKERFILE, re.MULTILINE)


def services(path: Path) -> dict[str, Any]:
    """Read the services of a compose file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    return found


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_the_server_in_compose_has_time_to_stop_and_is_not_open_to_the_network(path: Path) -> None:
    nodes = [service for service in services(path).values() if "build" in service]
    assert len(nodes) == (2 if "postgres" in path.name else 1)
    for node in nodes:
        assert seconds(node["stop_grace_period"]) * 1000 > limits.DRAIN
        assert (DEPLOY / node["build"]["context"] / node["build"]["dockerfile"]).exists()
        assert all(":-127.0.0.1:" in published for published in node["ports"])
        assert node["restart"] == "unless-stopped"
        assert any(mount.startswith(("data:/data", "/data:")) for mount in node.get("volumes", []) + node["tmpfs"])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_has_no_default_for_a_secret_and_the_example_lists_every_variable(path: Path) -> None:
    variables = re.findall(r"\$\{([A-Z0-9_]+)(:[-?])?([^}]*)\}", path.read_text(encoding="utf-8"))
    listed = re.findall(r"^([A-Z0-9_]+)=(.*)$", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    secret = re.compile(r"PASSWORD|KEY|TOKEN")
    assert {name for name, _, _ in variables} <= {name for name, _ in listed}
    assert not [name for name, kind, what in variables if secret.search(name) and not (kind == ":?" and what)]
    assert not [name for name, value in listed if secret.search(name) and value]


def test_every_node_of_compose_shares_the_keys_and_waits_for_the_database() -> None:
    found = services(DEPLOY / "compose.postgres.yaml")
    assert "healthcheck" in found["database"]
    nodes = [service for service in found.values() if "build" in service]
    assert nodes[0]["environment"] == nodes[1]["environment"]
    assert {"MAINSPRING_DATABASE", "MAINSPRING_SECRET_KEY", "MAINSPRING_API_KEY"} <= set(nodes[0]["environment"])
    assert all(node["depends_on"]["database"]["condition"] == "service_healthy" for node in nodes)


# ------------------------------------------------------------------------------------------------------------- systemd


def test_the_unit_is_consistent_in_its_paths_and_gives_time_to_stop() -> None:
    service, text = unit()["Service"], FILES["deploy/mainspring.service"]
    state = f"%S/{service['StateDirectory']}"
    assert service["WorkingDirectory"] == state
    assert f"Environment=MAINSPRING_DATA={state}\n" in text
    for shown in (service["EnvironmentFile"].lstrip("-"), state.replace("%S", "/var/lib")):
        assert shown in text.partition("[Unit]")[0]
    assert Path(service["ExecStart"].split()[0]).parents[1].as_posix() in text.partition("[Unit]")[0]
    assert int(service["TimeoutStopSec"]) * 1000 > limits.DRAIN
    assert "/etc/systemd/system/mainspring.service" in text
    assert "/var/lib/mainspring" in OPERATIONS


# ---------------------------------------------------------------------------------------------------------------- helm

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in sorted((CHART / "templates").iterdir())}


def leaves(values: dict[str, Any], before: str = "") -> Iterator[str]:
    """Yield the dotted path of every value; an empty map is a value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name


def test_every_value_that_a_template_uses_is_defined_and_every_defined_one_is_used() -> None:
    used = {path for text in TEMPLATES.values() for path in re.findall(r"\.Values\.([A-Za-z0-9_.]*\w)", text)}
    defined = set(leaves(VALUES))
    assert not [path for path in used if not any(leaf == path or leaf.startswith(path + ".") for leaf in defined)]
    assert not [leaf for leaf in defined if not any(leaf == path or leaf.startswith(path + ".") for path in used)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_blocks_of_a_template_are_closed_and_what_it_includes_is_defined(name: str) -> None:
    words = re.findall(r"\{\{-?\s*(if|with|range|define|end)\b", TEMPLATES[name])
    opened = [word for word in words if word in {"if", "with", "range", "define"}]
    assert len(opened) == words.count("end")
    defined = {each for text in TEMPLATES.values() for each in re.findall(r'define "([^"]+)"', text)}
    assert set(re.findall(r'include "([^"]+)"', TEMPLATES[name])) <= defined


def test_the_chart_installs_this_version_and_gives_it_time_to_stop() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == __version__
    [wait] = re.findall(r'command: \[sleep, "(\d+)"\]', TEMPLATES["_pod.tpl"])
    assert (VALUES["terminationGracePeriodSeconds"] - int(wait)) * 1000 > limits.DRAIN


def test_the_chart_makes_no_secret_and_keeps_the_environment_clean() -> None:
    makes_one = re.compile(r"^kind: Secret$|randAlpha|genPrivateKey", re.MULTILINE)
    assert not [name for name, text in TEMPLATES.items() if makes_one.search(text)]
    # A Service named mainspring would set MAINSPRING_PORT to a URL in every pod of its namespace.
    assert "enableServiceLinks: false" in TEMPLATES["_pod.tpl"]
    assert not VALUES["secretName"]


def test_the_alerts_are_three_and_each_says_what_to_do() -> None:
    [group] = yaml.safe_load(FILES["deploy/prometheus-rules.yaml"])["groups"]
    assert len(group["rules"]) == 3
    assert all({"summary", "description"} == set(rule["annotations"]) for rule in group["rules"])
