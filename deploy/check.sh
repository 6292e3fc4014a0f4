#!/bin/sh
# Checks the deployment files with the tools that are installed. A check whose tool is missing says
# so and is counted as not done. Exits 1 when a check failed. Starts no container.
#   deploy/check.sh
set -u
cd "$(dirname "$0")/.." || exit 1

passed=0 failed=0 missing=0

# check WHAT COMMAND...: runs the command and shows its output when it failed.
check() {
    what=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok        $what"
        passed=$((passed + 1))
    else
        echo "FAILED    $what"
        failed=$((failed + 1))
    fi
    if [ -n "$output" ]; then
        echo "$output" | sed 's/^/          /'
    fi
}

not_done() {
    echo "not done  $1: $2"
    missing=$((missing + 1))
}

has() { command -v "$1" >/dev/null 2>&1; }

# --- Dockerfile, by plain text ---

last_user_is_not_root() {
    user=$(sed -n 's/^USER  *//p' Dockerfile | tail -n 1)
    case $user in
        '') echo "no USER"; return 1 ;;
        root | root:* | 0 | 0:*) echo "USER $user"; return 1 ;;
    esac
}

has_healthcheck() {
    grep -q '^HEALTHCHECK ' Dockerfile || { echo "no HEALTHCHECK"; return 1; }
    ! grep -n '^HEALTHCHECK  *NONE' Dockerfile
}

# The runtime image has no shell. The CMD of a HEALTHCHECK may stand on a line of its own.
only_exec_forms() {
    grep -q '^ENTRYPOINT \[' Dockerfile || { echo "no ENTRYPOINT in exec form"; return 1; }
    ! grep -nE '(^|[[:space:]])(ENTRYPOINT|CMD)[[:space:]]+[^[[:space:]]' Dockerfile
}

check "Dockerfile: the last USER is not root" last_user_is_not_root
check "Dockerfile: has a HEALTHCHECK" has_healthcheck
check "Dockerfile: ENTRYPOINT and CMD in exec form" only_exec_forms

if has hadolint; then
    check "Dockerfile: hadolint" hadolint Dockerfile
else
    not_done "Dockerfile: hadolint" "it is not installed"
fi

# --- Shell ---

for script in deploy/check.sh deploy/postgres/roles.sh scripts/setup scripts/promtool; do
    check "$script: sh -n" sh -n "$script"
    if has shellcheck; then
        check "$script: shellcheck" shellcheck "$script"
    else
        not_done "$script: shellcheck" "it is not installed"
    fi
done

# --- Files, references and metrics, by Python ---

python() {
    PYTHONDONTWRITEBYTECODE=1 python3 deploy/check.py "$@"
}

if has python3; then
    check "JSON files parse" python json
    check "Dockerfile: copies what include_str! and include_bytes! name" python includes
    check "metrics of dashboard and alerts are registered in the sources" python metrics
    if python3 -c 'import yaml' 2>/dev/null; then
        check "YAML files parse" python yaml
        check "compose.yaml: ports on 127.0.0.1 only, limits, files that exist" python compose
    else
        not_done "YAML files parse" "Python has no PyYAML"
        not_done "compose.yaml: ports, limits, files" "Python has no PyYAML"
    fi
else
    not_done "JSON, YAML, references, metrics" "python3 is not installed"
fi

# --- Tools of the programs themselves ---

if has docker && docker compose version >/dev/null 2>&1; then
    check "compose.yaml: docker compose config" docker compose -f deploy/compose.yaml config -q
else
    not_done "compose.yaml: docker compose config" "no docker client with compose is installed"
fi

# Fetched where it is not installed.
if version=$(scripts/promtool --version 2>&1); then
    check "prometheus.yml: promtool" scripts/promtool check config deploy/prometheus/prometheus.yml
    check "alerts.yml: promtool" scripts/promtool check rules deploy/prometheus/alerts.yml
    check "alerts_test.yml: promtool" scripts/promtool test rules deploy/prometheus/alerts_test.yml
else
    not_done "prometheus.yml, alerts.yml and alerts_test.yml" "$version"
fi

echo "$passed passed, $failed failed, $missing not done"
[ "$failed" -eq 0 ]
