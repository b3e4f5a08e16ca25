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
	"github.com/waybill-data/waybill/pkg/config/configtest"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// The example shows every default as it is.
func TestExampleLoads(t *testing.T) {
	got, err := Load("ingest.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Dir, want.Path = ".", "ingest.example.yaml"
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
		"kafka.brokers[0]", "kafka.group", "kafka.gruop", "kafka.version", "kafka.isolation", "kafka.drain_timeout",
		"kafka.sasl.user", "kafka.tls.enable",
		"kafka.fetch.bytes", "writer.endpoints", "writer.endpoints[0]", "contracts[0].builtin", "batch.rows",
		"memory.budget", "commit.interval", "dead_letter.suffix", "admin.listen", "log.level",
	} {
		if keys[key] != 1 {
			t.Errorf("%d problems at %s, want 1", keys[key], key)
		}
	}
	if t.Failed() {
		t.Log(problems)
	}
}

// A file of an older version says which of its keys are gone.
func TestKeysOfOlderVersions(t *testing.T) {
	_, err := Load(write(t, `
kafka: {group: g, fetch: {clients: 2, records: 100}}
writer: {target: "dns:///w:7070", keepalive: 30s, refresh: 5s}
registry: {urls: ["http://r:8081"], timeout: 10s}
contracts: [{builtin: delivery.v6}]
`))
	configtest.Older(t, err, "kafka.fetch.clients", "kafka.fetch.records", "registry.timeout", "writer.keepalive",
		"writer.refresh")
}

// Values that parse and could not work, or hardly be meant; and those at the bounds, which do.
func TestValuesThatCannotWork(t *testing.T) {
	const rest = "\nwriter: {target: 'dns:///w:7070'}\n"
	for text, want := range map[string]string{
		"session_timeout: 1s": "kafka.session_timeout: 1s is too short: brokers refuse such a member " +
			"(group.min.session.timeout.ms)\n    write 6s to 30m; 45s is right for most",
		"session_timeout: 6s":                                           "",
		"session_timeout: 1h":                                           "kafka.session_timeout: 1h is too long",
		"rebalance_timeout: 2s, drain_timeout: 1s":                      "kafka.rebalance_timeout: 2s is too short",
		"rebalance_timeout: 5s, drain_timeout: 1s, request_timeout: 5s": "",
		"rebalance_timeout: 5s, drain_timeout: 1s": "kafka.request_timeout: 10s is longer than " +
			"rebalance_timeout",
		"rebalance_timeout: 30s, drain_timeout: 29s": "",
		"rebalance_timeout: 30s, drain_timeout: 29500ms": "kafka.drain_timeout: is not shorter than " +
			"rebalance_timeout",
		"drain_timeout: 10ms":          "kafka.drain_timeout: 10ms is too short",
		"request_timeout: 1ms":         "kafka.request_timeout: 1ms is too short",
		"request_timeout: 1h":          "kafka.request_timeout: 1h is too long",
		"topic_refresh: 1ms":           "kafka.topic_refresh: 1ms is too short",
		"topic_refresh: 24h":           "kafka.topic_refresh: 24h is too long",
		"instance_id: 'pod 1'":         "kafka.instance_id: \"pod 1\" is no name of a member",
		"tls: {server_name: broker}":   "kafka.tls.enable: is false while other keys",
		"sasl: {user: u, password: p}": "kafka.sasl.mechanism: is empty while",
		"}\nbatch: {linger: 10m": "batch.linger: 10m is too long: rows would be in BigQuery as much later\n" +
			"    write 0s to 1m; 50ms is right for most",
		"}\nbatch: {linger: 1m":                      "",
		"}\nbatch: {linger: 0s":                      "",
		"}\nbatch: {bytes: 10B":                      "batch.bytes: 10B is too small",
		"}\nwindow: {bytes: 64KiB":                   "window.bytes: 64KiB holds less than a batch of 1MiB",
		"}\nwindow: {bytes: 2GiB":                    "window.bytes: 2GiB is out of range",
		"}\nwindow: {batches: 100000":                "window.batches: 100000 is out of range",
		"}\ncommit: {interval: 1ms":                  "commit.interval: 1ms is too short",
		"}\ncommit: {interval: 1h":                   "commit.interval: 1h is too long",
		"}\ncommit: {interval: 10m":                  "",
		"}\ndead_letter: {suffix: ' dead'":           "dead_letter.suffix: \" dead\" cannot be in the name",
		"}\ndead_letter: {partitions: 5000":          "dead_letter.partitions: 5000 is out of range",
		"}\nadmin: {listen: ':7080', insecure: true": "admin.listen: is the port of grpc.listen",
		"}\nregistry: {poll: 1ms":                    "registry.poll: 1ms is too short",
		"}\ncontracts: [{builtin: stock.v1, topic: " + strings.Repeat("t", 240) + "}]\nlog: {level: info": "",
		"}\ndead_letter: {suffix: ." + strings.Repeat("d",
			100): "dead_letter.suffix: leaves no room for the topic",
	} {
		_, err := Load(write(t, "kafka: {brokers: 'b:1', group: g, "+text+"}"+rest))
		var problems config.Problems
		if want == "" && err != nil || want != "" && (!errors.As(err, &problems) || len(problems) != 1 ||
			!strings.Contains(err.Error(), want) || problems[0].Remedy == "") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for target, want := range map[string]bool{
		"dns:///w:7070": true, "w:7070": true, "127.0.0.1:7070": true, "dns:///[::1]:7070": true,
		"dns://8.8.8.8/w:7070": true, "unix:/run/w": true, "xds:///w": false, "passthrough:///w:1": true,
		"w": false, "dns:///w": false, "http://w:7070": false, "https://w": false, ":7070": false, "dns:///": false,
	} {
		var reported string
		(&Writer{Target: target}).Check(func(key, message, _ string) { reported += key + ": " + message })
		if (reported == "") != want {
			t.Errorf("%s: %q", target, reported)
		}
	}
}

func TestDoubts(t *testing.T) {
	c := Defaults()
	if found := c.doubts(); len(found) != 0 {
		t.Errorf("the defaults: %+v", found)
	}
	c.Kafka.SASL.Mechanism = source.SASLPlain
	if found := c.doubts(); len(found) != 1 || found[0].State != findings.Warn || found[0].Remedy == "" {
		t.Errorf("a password in the clear: %+v", found)
	}
	c.Kafka.TLS.Enable = true
	if found := c.doubts(); len(found) != 0 {
		t.Errorf("a password behind TLS: %+v", found)
	}
}

func TestContractProblemsComeWithTheOthers(t *testing.T) {
	_, err := Load(write(t,
		"kafka: {brokers: 'b:1'}\nwriter: {target: 'w:7070'}\n"+
			"contracts: [{topic: t, format: avro, schema: none.avsc, table: t, types: ['*']}]\n"))
	if err == nil || !strings.Contains(err.Error(), "kafka.group") || !strings.Contains(err.Error(), "none.avsc") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c, err := Load(write(t,
		"kafka: {brokers: 'b:1', group: g, sasl: {mechanism: plain, user: u, password: hunter2}}\n"+
			"writer: {target: 'w:7070'}\n"))
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
  - {topic: parcels, format: avro, framing: confluent, subject: parcels-value, subject_version: %s, evolution: off,
     table: parcels, types: ["*"]}
`
	c, err := Load(write(t,
		fmt.Sprintf(file, `urls: ["http://one:8081", "http://two:8081"], user: ann, password: secret`, "3")))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Registry.URLs) != 2 || c.Registry.Password.Reveal() != "secret" ||
		c.Registry.Poll != Defaults().Registry.Poll {
		t.Errorf("registry %+v", c.Registry)
	}
	if e := c.Contracts[0]; e.SubjectVersion != "3" || e.Evolution != "off" || e.Subject != "parcels-value" ||
		e.Framing != "confluent" {
		t.Errorf("contract %+v", e)
	}
	_, err = Load(write(t, fmt.Sprintf(file, "", "latest")))
	if err == nil || !strings.Contains(err.Error(), "registry.urls") {
		t.Errorf("no registry is named: %v", err)
	}
}

// Whoever asks an ingest that runs needs to know where it listens and how to reach it; contracts that are being mended
// are in nobody's way.
func TestPartsOfABrokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ingest.yaml")
	const text = "grpc: {listen: '127.0.0.1:7'}\nwriter: {endpoints: ['127.0.0.1:8']}\n" +
		"contracts:\n  - builtin: delivery.v7\n  - topics: x\nkafka: nowhere\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil {
		t.Error("the whole file is in order")
	}
	c, err := LoadParts(path, "grpc", "writer")
	if err != nil || c.GRPC.Listen != "127.0.0.1:7" || c.Path != path {
		t.Errorf("%+v, %v", c.GRPC, err)
	}
	if _, err := LoadParts(path, "kafka"); err == nil || !strings.Contains(err.Error(), "ingest.yaml:6: kafka") {
		t.Errorf("of a section that is broken: %v", err)
	}
}
