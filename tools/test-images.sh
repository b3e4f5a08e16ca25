#!/bin/sh
# Tries the images and docker-compose.yml with an engine: that which responds, or Debian's docker.io, which it installs and starts for the time of
# the test where it is root and may. Builds the images twice and compares digests, looks at what is in them, brings up compose with three
# writers, replaces each of them under load, and compares every offset. Where no engine can be had it says why and ends with 0.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
pid=
compose="bin/docker-compose --project-name waybill-test --project-directory . --file docker-compose.yml"
finish() {
	status=$?
	if [ -n "${up:-}" ]; then
		[ $status = 0 ] || $compose --profile load logs --tail 20 >&2 || true
		$compose --profile load down --volumes --timeout 5 >/dev/null 2>&1 || true
	fi
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	rm -rf "$dir" 2>/dev/null || true
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM
without() {
	echo "test-images: not tried with an engine: $1"
	echo "== twice, without one"
	CHECK=1 VERSION=v0.0.0-test tools/images.sh
	echo "test-images: digests passed, containers not tried"
	exit 0
}

docker=docker
if ! docker info >/dev/null 2>&1; then
	if ! command -v dockerd >/dev/null; then
		[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || without "no engine responds, and only root with apt can install one"
		echo "installing docker.io"
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends docker.io; } >"$dir/apt" 2>&1 ||
			without "docker.io cannot be installed: $(tail -1 "$dir/apt")"
	fi
	[ "$(id -u)" = 0 ] || without "no engine responds, and only root can start one"
	# Data, socket and state of its own: an engine that somebody else starts later is not in the way. vfs works on every file system.
	for driver in overlay2 vfs; do
		mkdir -p "$dir/engine"
		dockerd --data-root "$dir/engine/data" --exec-root "$dir/engine/run" --pidfile "$dir/engine/pid" --host "unix://$dir/engine/sock" \
			--storage-driver $driver >"$dir/engine.log" 2>&1 &
		pid=$!
		export DOCKER_HOST="unix://$dir/engine/sock"
		seconds=0
		while kill -0 $pid 2>/dev/null && ! docker info >/dev/null 2>&1 && [ $seconds -lt 60 ]; do sleep 1; seconds=$((seconds + 1)); done
		docker info >/dev/null 2>&1 && break
		kill $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		pid=
	done
	[ -n "$pid" ] || without "the engine does not start: $(tail -1 "$dir/engine.log")"
fi
echo "== engine $(docker version --format '{{.Server.Version}}'), $(docker info --format '{{.Driver}}')"

echo "== images, twice"
commit=$(git rev-parse HEAD)
CHECK=1 VERSION=v0.0.0-test IMAGE=waybill-test tools/images.sh

echo "== what is in them"
for service in ingest writer sandbox; do
	image=waybill-test/$service:v0.0.0-test
	label() { docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" "$image"; }
	[ "$(label version)" = v0.0.0-test ] || { echo "$image: label version is $(label version)" >&2; exit 1; }
	[ "$(label revision)" = "$commit" ] || { echo "$image: label revision is $(label revision)" >&2; exit 1; }
	container=$(docker create "$image")
	docker cp --quiet "$container:/usr/share/sbom/$service.cdx.json" "$dir/sbom" 2>/dev/null || docker cp "$container:/usr/share/sbom/$service.cdx.json" "$dir/sbom"
	docker rm "$container" >/dev/null
	cmp "$dir/sbom" "bin/images/$service.cdx.json" || { echo "$image: what it says it is made of is not what lies beside it" >&2; exit 1; }
	# As Kubernetes' "restricted" profile and the chart run it: no rights, nothing to write to.
	docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --network none "$image" version
	echo "$image: labels, list of parts, runs read-only without rights"
done

echo "== compose with three writers"
make bin/docker-compose
CGO_ENABLED=0 go build -trimpath -o bin/ ./e2e/cmd/containers
up=1
IMAGE=waybill-test bin/containers --compose "$compose" --docker "$docker" --writers 3
echo "test-images: digests, labels, lists of parts, compose and a rolling update passed"
