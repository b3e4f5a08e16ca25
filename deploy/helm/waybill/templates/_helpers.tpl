{{/* The release's name as a prefix of every object. */}}
{{- define "waybill.prefix" -}}
{{- if contains "waybill" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-waybill" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{/* Name of one service's objects: dict "root" $ "service" "writer". */}}
{{- define "waybill.name" -}}
{{ include "waybill.prefix" .root }}-{{ .service }}
{{- end }}

{{- define "waybill.selector" -}}
app.kubernetes.io/name: waybill
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- define "waybill.labels" -}}
{{ include "waybill.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "waybill.account" -}}
{{- $values := index .root.Values .service -}}
{{- if $values.serviceAccount.name }}{{ $values.serviceAccount.name }}
{{- else if $values.serviceAccount.create }}{{ include "waybill.name" . }}
{{- else }}default{{ end -}}
{{- end }}

{{- define "waybill.image" -}}
{{- $digest := index .root.Values.image.digests .service -}}
{{ .root.Values.image.registry }}/{{ .service }}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{/* Ports of a service, as its configuration says or by default. */}}
{{- define "waybill.grpcPort" -}}
{{- if eq .service "writer" }}7070{{ else }}7080{{ end -}}
{{- end }}
{{- define "waybill.adminPort" -}}
{{- if eq .service "writer" }}7071{{ else }}7081{{ end -}}
{{- end }}

{{/* Ports of what the configuration has a service reach, beside the release's own pods, as those of a NetworkPolicy. */}}
{{- define "waybill.egressPorts" -}}
{{- $config := (index .root.Values .service).config -}}
{{- $at := list (dig "tracing" "endpoint" "" $config) -}}
{{- if eq .service "writer" -}}
{{- $at = append $at (dig "bigquery" "endpoint" "grpc" "" $config | default "https://bigquerystorage.googleapis.com") -}}
{{- $at = append $at (dig "bigquery" "endpoint" "rest" "" $config | default "https://bigquery.googleapis.com") -}}
{{- else -}}
{{- $at = concat $at $config.kafka.brokers (dig "registry" "urls" list $config) (dig "writer" "endpoints" list $config) -}}
{{- range $oauth := list (dig "kafka" "sasl" "oauth" dict $config) (dig "registry" "oauth" dict $config) -}}
{{- if $oauth.provider -}}
{{- $at = append $at ($oauth.token_url | default "https://oauth2.googleapis.com") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- range $address := $at -}}
{{- if $address -}}
{{- $host := regexReplaceAll "^[a-z]+://([^/]*).*$" $address "${1}" -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- $ports = append $ports (regexFind "[0-9]+$" $host) -}}
{{- else -}}
{{- $ports = append $ports (hasPrefix "http://" $address | ternary "80" "443") -}}
{{- end -}}
{{- end -}}
{{- end -}}
[{{ range $i, $port := $ports | uniq | sortAlpha }}{{ if $i }}, {{ end }}{port: {{ $port }}, protocol: TCP}{{ end }}]
{{- end }}

{{/* The configuration file: what the chart knows, and the values over it. */}}
{{- define "waybill.config" -}}
{{- $values := index .root.Values .service -}}
{{- $base := dict
  "grpc" (dict "listen" (printf ":%s" (include "waybill.grpcPort" .)))
  "admin" (dict "listen" (printf ":%s" (include "waybill.adminPort" .)))
  "log" .root.Values.common.log -}}
{{- if eq .service "writer" -}}
{{- $_ := set $base "drain_timeout" (printf "%ds" (int $values.drainSeconds)) -}}
{{- else -}}
{{- $_ := set $base "kafka" (dict "drain_timeout" (printf "%ds" (int $values.drainSeconds))) -}}
{{- if not (or (dig "writer" "target" "" $values.config) (dig "writer" "endpoints" list $values.config)) -}}
{{- $_ := set $base "writer" (dict "target" (printf "dns:///%s.%s.svc:%s" (include "waybill.name" (dict "root" .root "service" "writer")) .root.Release.Namespace (include "waybill.grpcPort" (dict "service" "writer")))) -}}
{{- end -}}
{{- $_ := set $base "peers" (list (printf "%s.%s.svc:%s" (include "waybill.name" (dict "root" .root "service" "ingest")) .root.Release.Namespace (include "waybill.grpcPort" (dict "service" "ingest")))) -}}
{{- if $values.contracts -}}
{{- $_ := set $base "contracts_dir" "contracts" -}}
{{- end -}}
{{- end -}}
{{- $config := mergeOverwrite $base (deepCopy $values.config) -}}
{{- $service := .service -}}
{{- range $port := list "grpc" "admin" -}}
{{- $section := index $config $port -}}
{{- if not (or (dig "tls" "cert" "" $section) (hasKey $section "insecure")) -}}
{{- if not $.root.Values.insecure -}}
{{- fail (printf "%s.config.%s.tls.cert is empty: name certificate and key, or say insecure: true" $service $port) -}}
{{- end -}}
{{- $_ := set $section "insecure" true -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* Everything that Kubernetes' "restricted" profile asks for. */}}
{{- define "waybill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "waybill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
