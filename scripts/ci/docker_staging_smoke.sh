#!/usr/bin/env bash
# Brings cadml up as it is deployed, checks over HTTP that it works and is watched, and takes it down again.
#
#   SMOKE_TARGET   docker    the stack of deploy/compose.yaml (default)
#                  process   a plain process of this checkout
#                  buildah   the image, built and run without a Docker daemon (as root)
#   SKIP_BUILD=1   take the image, or the environment, as it is
#   API_PORT       port on loopback (18000)          API_KEY   key to use (one is made)
#   ARTIFACT_DIR   health.json, cache_tuning.json, metrics.txt, logs (build/smoke)
#   PATIENCE       seconds to wait for the service (180)
#   SMOKE_BASE     image to build on (docker: the Dockerfile's own; buildah: a Debian made by debootstrap)
#
# Exit 0 only if every step ended well; otherwise the last line says which did not, and why.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${SMOKE_TARGET:-docker}
port=${API_PORT:-18000}
artifacts=$(realpath -m "${ARTIFACT_DIR:-build/smoke}")
patience=${PATIENCE:-180}
work=$(mktemp -d "${TMPDIR:-/tmp}/cadml-smoke.XXXXXX")
key=${API_KEY:-$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')}
image=localhost/cadml:smoke
python=.venv/bin/python
stop=:  # how to take the target down

fail() { echo "smoke: $*" >&2; exit 1; }

clean_up() {
  code=$?
  trap - EXIT INT TERM
  $stop >>"$artifacts/cleanup.log" 2>&1 || true
  rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$artifacts"
mkdir -p "$artifacts"

[ -x "$python" ] || make .venv/installed || fail "build: the environment could not be made"
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then fail "port: something listens on $port already; set API_PORT"; fi

# Only the hash of the key reaches the service.
mkdir "$work/keys"
echo "smoke admin sha256:$(printf %s "$key" | sha256sum | cut -d' ' -f1)" >"$work/keys/keys"
chmod -R a+rX "$work"

start_process() {
  [ -n "${SKIP_BUILD:-}" ] || make .venv/installed >"$artifacts/build.log" 2>&1 || fail "build: see $artifacts/build.log"
  TMPDIR="$work" CADML_DATA_DIR="$work/data" CADML_API_KEYS_FILE="$work/keys/keys" CADML_LOG_FORMAT=json \
    .venv/bin/cadml serve --port "$port" --workers 1 >"$artifacts/service.out" 2>"$artifacts/service.log" </dev/null &
  service=$!
  stop=stop_process
}
stop_process() {
  kill -TERM "$service" 2>/dev/null || return 0
  for _ in $(seq 600); do kill -0 "$service" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$service"
}

B() { buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"; }
start_buildah() {
  command -v buildah >/dev/null || fail "build: buildah is not installed"
  if [ -n "${SKIP_BUILD:-}" ]; then
    archive=${SMOKE_IMAGE:?SKIP_BUILD with buildah needs SMOKE_IMAGE, an archive that an earlier run kept}
    B pull -q "docker-archive:$archive" >"$artifacts/build.log" 2>&1 || fail "build: $archive cannot be read"
    image=$(B images -q | head -n1)
  else
    build_image >"$artifacts/build.log" 2>&1 || fail "build: $(grep -v '^$' "$artifacts/build.log" | tail -n1)"
  fi
  describe_image
  container=$(B from --pull-never "$image")
  mkdir "$work/data" && chown 10001:10001 "$work/data"
  # No daemon, no namespaces: the image's files and user, this machine's network.
  B run --isolation chroot --network host -v "$work/data:/data" -v "$work/keys:/keys:ro" \
    --env "CADML_API_KEYS_FILE=/keys/keys" --env "CADML_EXTRACT_WORKERS=1" "$container" \
    cadml serve --port "$port" >"$artifacts/service.out" 2>"$artifacts/service.log" </dev/null &
  service=$!
  stop=stop_buildah
}
build_image() {
  base=${SMOKE_BASE:-}
  if [ -z "$base" ]; then
    command -v debootstrap >/dev/null || { echo "debootstrap is not installed; set SMOKE_BASE"; return 1; }
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base"
    fresh=$(B from scratch)
    B add -q "$fresh" "$work/base" /
    B commit -q --rm "$fresh" localhost/cadml-base
    rm -rf "$work/base"
    base=localhost/cadml-base
  fi
  begin=$(date +%s)
  B bud --isolation chroot --network host --format docker --pull-never \
    -v /etc/ssl/certs:/etc/ssl/certs:ro ${PIP_CERT:+--build-arg "PIP_CERT=$PIP_CERT"} \
    --build-arg "BASE=$base" --build-arg "COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    -f deploy/image/Dockerfile -t "$image" .
  echo "$(($(date +%s) - begin))" >"$artifacts/build_seconds"
}
describe_image() {
  B inspect --type image "$image" >"$artifacts/image.json"
  size=$(B images --format '{{.Size}}' "$image" | head -n1)
  "$python" - "$artifacts/image.json" "$size" "$(cat "$artifacts/build_seconds" 2>/dev/null || echo –)" <<'PYTHON'
import json, sys
image = json.load(open(sys.argv[1]))["Docker"]
user, layers = image["config"]["User"], len(image["rootfs"]["diff_ids"])
print(f"ok  image      {sys.argv[3]:>6} s  {sys.argv[2]}, {layers} layers, user {user}")
sys.exit(user in {"", "0", "root", "0:0"} or not image["config"].get("Healthcheck"))
PYTHON
}
stop_buildah() {
  # buildah passes no signal on: the program itself is told, by what only it has open.
  for pid in $(pgrep -f "cadml serve --port $port" || true); do
    [ "$(stat -c %u "/proc/$pid")" = 10001 ] && kill -TERM "$pid"
  done
  for _ in $(seq 600); do kill -0 "$service" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$service" 2>/dev/null || true
  B rm --all || true
}

compose() { docker compose -f deploy/compose.yaml -p cadml-smoke "$@"; }
start_docker() {
  command -v docker >/dev/null && docker compose version >/dev/null 2>&1 || fail "build: there is no docker with compose here"
  export CADML_PUBLISHED_PORT=$port CADML_KEYS_FILE="$work/keys/keys" CADML_IMAGE=${SMOKE_IMAGE:-cadml:smoke}
  # Nobody asks these two: any free port will do.
  export PROMETHEUS_PUBLISHED_PORT=${PROMETHEUS_PUBLISHED_PORT:-0} GRAFANA_PUBLISHED_PORT=${GRAFANA_PUBLISHED_PORT:-0}
  export POSTGRES_PASSWORD GRAFANA_PASSWORD COMMIT
  POSTGRES_PASSWORD=$(head -c 18 /dev/urandom | base64 | tr '+/' '-_')
  GRAFANA_PASSWORD=$(head -c 18 /dev/urandom | base64 | tr '+/' '-_')
  COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  stop=stop_docker
  [ -n "${SKIP_BUILD:-}" ] || compose build ${SMOKE_BASE:+--build-arg "BASE=$SMOKE_BASE"} >"$artifacts/build.log" 2>&1 || fail "build: $(tail -n1 "$artifacts/build.log")"
  compose up -d --no-build >"$artifacts/up.log" 2>&1 || fail "up: $(tail -n1 "$artifacts/up.log")"
}
stop_docker() {
  compose logs --no-color >"$artifacts/service.log" 2>&1 || true
  compose down --volumes --remove-orphans --timeout 60
}

case $target in
  process | buildah | docker) "start_$target" ;;
  *) fail "SMOKE_TARGET is docker, process or buildah, not $target" ;;
esac

printf '%s\n' "$key" | "$python" scripts/ci/smoke.py "http://127.0.0.1:$port" --artifacts "$artifacts" --patience "$patience" \
  || { grep -h '^cadml: ' "$artifacts/service.log" 2>/dev/null | tail -n1 >&2 || true; exit 1; }
echo "smoke: $target is well; artifacts are in $artifacts"
