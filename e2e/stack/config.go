package stack

import (
	"fmt"
	"os"
	"strings"
	"text/template"
)

var writerYAML = template.Must(template.New("writer").Parse(
	`# Written by the stack; see services/writer/writer.example.yaml for every key.
name: {{.Self.Name}}
grpc:
  listen: {{.Self.GRPC}}
{{with .Config.TLS}}  tls: {cert: {{.Cert}}, key: {{.Key}}}
{{else}}  insecure: true
{{end}}bigquery:
  project: ` + Project + `
  dataset: ` + Dataset + `
  create_dataset: true
{{with .Config.TLS}}  credentials: {{.Credentials}}
{{else}}  insecure: true
{{end}}  endpoint:
    grpc: {{.Reach .Endpoints.BigQueryGRPC}}
    rest: http://{{.Endpoints.BigQueryREST}}/bigquery/v2/
{{.Config.BigQueryYAML}}admin:
  listen: {{.Self.Admin}}
  insecure: true
{{.Extra}}`))

var ingestYAML = template.Must(template.New("ingest").Parse(
	`# Written by the stack; see services/ingest/ingest.example.yaml for every key.
kafka:
  brokers: [{{.Endpoints.Kafka}}]
  group: {{.Config.Group}}
{{with .Config.TLS}}  tls: {enable: true, ca: {{.CA}}}
{{end}}{{.Config.KafkaYAML}}writer:
{{with .Config.Target}}  target: {{.}}
{{else}}  endpoints: [{{range $i, $w := .Writers}}{{if $i}}, {{end}}{{$.Reach $w.GRPC}}{{end}}]
{{end}}{{with .Config.TLS}}  tls: {enable: true, ca: {{.CA}}}
{{end}}registry:
  urls: [http://{{.Endpoints.Registry}}]
  poll: 1s
contracts:
{{.Config.Contracts}}grpc:
  listen: {{.Self.GRPC}}
  insecure: true
admin:
  listen: {{.Self.Admin}}
  insecure: true
{{.Extra}}`))

// Reach is the address that a service dials for an address of the stack.
func (s *Stack) Reach(addr string) string {
	if s.Config.Reach == nil {
		return addr
	}
	return s.Config.Reach(addr)
}

func (s *Stack) writeConfigs() error {
	for _, w := range s.Writers {
		if err := s.writeConfig(writerYAML, w, s.Config.WriterYAML); err != nil {
			return err
		}
	}
	for _, i := range s.Ingests {
		if err := s.writeConfig(ingestYAML, i, s.Config.IngestYAML); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) writeConfig(t *template.Template, self *Service, extra string) error {
	var b strings.Builder
	err := t.Execute(&b, struct {
		*Stack
		Self  *Service
		Extra string
	}{s, self, extra})
	if err != nil {
		return err
	}
	return os.WriteFile(self.Config, []byte(b.String()), 0o644)
}

// Static makes an ingest a static member of its group, from its next start on; leaves says whether it leaves the group
// when it stops in order.
func (s *Service) Static(name string, leaves bool) error {
	text, err := os.ReadFile(s.Config)
	if err != nil {
		return err
	}
	static := fmt.Sprintf("kafka:\n  instance_id: %s\n  leave: %v\n", name, leaves)
	return os.WriteFile(s.Config, []byte(strings.Replace(string(text), "kafka:\n", static, 1)), 0o644)
}

// Redial has a service connect to another address in place of one that its configuration names, from its next start on.
func (s *Service) Redial(from, to string) error {
	text, err := os.ReadFile(s.Config)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), from) {
		return fmt.Errorf("%s does not name %s", s.Config, from)
	}
	return os.WriteFile(s.Config, []byte(strings.ReplaceAll(string(text), from, to)), 0o644)
}
