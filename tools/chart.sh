#!/bin/sh
# Checks the Helm chart with each of its worked values files: lint, render, compare with what is kept in deploy/helm/golden, and
# validate against the schemas of Kubernetes in deploy/helm/schemas. `chart.sh update` writes what is kept anew.
set -eu
cd "$(dirname "$0")/.."
kubernetes=1.37.2
chart=deploy/helm/waybill
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
for file in deploy/helm/values/*.yaml; do
	name=$(basename "$file" .yaml)
	say() { echo "chart: $name: $1"; failed=$((failed + 1)); }
	bin/helm lint --quiet --strict --kube-version $kubernetes "$chart" -f "$file" || { say 'lint found something'; continue; }
	bin/helm template waybill "$chart" --kube-version $kubernetes --namespace waybill -f "$file" >"$dir/$name.yaml" || { say 'does not render'; continue; }
	if [ "${1:-}" = update ]; then
		cp "$dir/$name.yaml" "deploy/helm/golden/$name.yaml"
	fi
	diff -u "deploy/helm/golden/$name.yaml" "$dir/$name.yaml" || { say 'renders something else than deploy/helm/golden has; make chart UPDATE=1 takes it'; continue; }
	# The operators' kinds have no schema here: only their rendering is compared.
	bin/kubeconform -strict -kubernetes-version $kubernetes -schema-location 'deploy/helm/schemas/{{.ResourceKind}}{{.KindSuffix}}.json' \
		-skip ServiceMonitor,ScaledObject "$dir/$name.yaml" || { say 'is not what Kubernetes takes'; continue; }
	passed=$((passed + 1))
done
# What must not render: each with the word that the message has to have.
refuses() {
	if out=$(bin/helm template waybill "$chart" --kube-version $kubernetes "$@" 2>&1); then
		echo "chart: rendered with $*"; failed=$((failed + 1)); return
	fi
	case $out in *"$word"*) passed=$((passed + 1)) ;; *) echo "chart: with $* the message lacks \"$word\": $out"; failed=$((failed + 1)) ;; esac
}
word='writer.config.bigquery.project is required' refuses --set insecure=true
word='ingest.config.kafka.brokers is required' refuses --set insecure=true,writer.config.bigquery.project=p,writer.config.bigquery.dataset=d
word='writer.config.grpc.tls.cert is empty' refuses -f deploy/helm/values/laptop.yaml --set insecure=false
word='both enabled' refuses -f deploy/helm/values/onpremises.yaml --set ingest.autoscaling.enabled=true
word='replicsa' refuses -f deploy/helm/values/laptop.yaml --set writer.replicsa=2
word='ingest.keda.topics is empty' refuses -f deploy/helm/values/onpremises.yaml --set ingest.keda.topics=null
echo "chart: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
