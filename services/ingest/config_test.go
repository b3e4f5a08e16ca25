package ingest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// The example shows every default as it is.
func TestExampleLoads(t *testing.T) {
	got, err := Load("ingest.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Dir = "."
	want.Kafka.Brokers, want.Kafka.Group = []string{"127.0.0.1:19092"}, "waybill"
	want.Writer.Target = "dns:///127.0.0.1:7070"
	want.Contracts = []contract.Config{{Builtin: "delivery.v6"}, {Builtin: "stock.v1"}}
	want.Log.Level, want.Log.Format = "info", "text"
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(contract.Config{})); diff != "" {
		t.Errorf("the example is not the defaults (-defaults +example):\n%s", diff)
	}
}

// Every key of the configuration is in the example, so that nothing has to be looked up in the code.
func TestExampleShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile("ingest.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range yamlKeys(Defaults()) {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ingest.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryProblemAtOnce(t *testing.T) {
	_, err := Load(write(t, `
kafka:
  brokers: [nonsense, "127.0.0.1:9092"]
  version: 1.0.0
  isolation: dirty
  drain_timeout: 2m
  gruop: typo
  sasl: {mechanism: plain, user: u}
  tls: {cert: x.pem}
  fetch: {bytes: 1}
writer:
  target: dns:///w:7070
  endpoints: [w]
contracts:
  - builtin: delivery.v7
batch: {rows: -1}
memory: {budget: 1MiB}
commit: {interval: soon}
dead_letter: {suffix: ""}
admin: {listen: "7081"}
log: {level: loud}
`))
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	keys := map[string]int{}
	for _, p := range problems {
		keys[p.Key]++
		if p.Remedy == "" || p.File == "" {
			t.Errorf("no remedy or file: %+v", p)
		}
	}
	for _, key := range []string{
		"kafka.brokers[0]", "kafka.group", "kafka.gruop", "kafka.version", "kafka.isolation", "kafka.drain_timeout", "kafka.sasl.user", "kafka.tls.enable",
		"kafka.fetch.bytes", "writer.endpoints", "writer.endpoints[0]", "contracts[0].builtin", "batch.rows", "memory.budget",
		"commit.interval", "dead_letter.suffix", "admin.listen", "log.level",
	} {
		if keys[key] != 1 {
			t.Errorf("%d problems at %s, want 1", keys[key], key)
		}
	}
	if t.Failed() {
		t.Log(problems)
	}
}

func TestContractProblemsComeWithTheOthers(t *testing.T) {
	_, err := Load(write(t, "kafka: {brokers: 'b:1'}\nwriter: {target: w}\ncontracts: [{topic: t, format: avro, schema: none.avsc, table: t, types: ['*']}]\n"))
	if err == nil || !strings.Contains(err.Error(), "kafka.group") || !strings.Contains(err.Error(), "none.avsc") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := Load(write(t, "kafka: {brokers: 'b:1', group: g, sasl: {mechanism: plain, user: u, password: hunter2}}\nwriter: {target: w}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if strings.Contains(fmt.Sprintf(verb, c), "hunter2") {
			t.Errorf("%s prints the password", verb)
		}
	}
}

func TestRegistryKeys(t *testing.T) {
	const file = `
kafka: {brokers: "127.0.0.1:9092", group: g}
writer: {target: "dns:///writer:7070"}
registry: {%s}
contracts:
  - {topic: parcels, format: avro, framing: confluent, subject: parcels-value, subject_version: %s, evolution: off, table: parcels, types: ["*"]}
`
	c, err := Load(write(t, fmt.Sprintf(file, `urls: ["http://one:8081", "http://two:8081"], user: ann, password: secret`, "3")))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Registry.URLs) != 2 || c.Registry.Password.Reveal() != "secret" || c.Registry.Poll != Defaults().Registry.Poll {
		t.Errorf("registry %+v", c.Registry)
	}
	if e := c.Contracts[0]; e.SubjectVersion != "3" || e.Evolution != "off" || e.Subject != "parcels-value" || e.Framing != "confluent" {
		t.Errorf("contract %+v", e)
	}
	_, err = Load(write(t, fmt.Sprintf(file, "", "latest")))
	if err == nil || !strings.Contains(err.Error(), "registry.urls") {
		t.Errorf("no registry is named: %v", err)
	}
}
