// Package clients tries the sandbox with the clients that people use: those of Python, Node and Java, and Kafka's own
// tools. tools/clients.sh fetches them; where they are not, or the programs that run them, these tests are skipped.
package clients

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// world is a running sandbox and a folder of clients.
type world struct {
	folder    string
	endpoints string // the sandbox's endpoints file
	kafka     string // its brokers, separated by commas
}

// open starts a sandbox for the clients in the folder that CLIENTS names.
func open(t *testing.T, name string, programs ...string) world {
	t.Helper()
	folder := os.Getenv("CLIENTS")
	if folder == "" {
		t.Skip("CLIENTS names no folder: make test-clients fetches the clients and runs these tests")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here: %v", program, err)
		}
	}
	if pins, err := filepath.Glob(filepath.Join(folder, name, "pins-*")); err != nil || len(pins) == 0 {
		t.Skipf("%s has no clients of %s: tools/clients.sh left them out", folder, name)
	}
	dir := t.TempDir()
	s := sandboxtest.Start(t, sandbox.Config{Dir: dir})
	return world{
		folder: filepath.Join(folder, name), endpoints: filepath.Join(dir, sandbox.EndpointsFile),
		kafka: strings.Join(s.Endpoints().Kafka, ","),
	}
}

// run runs a program to its end, and gives what it writes.
func (w world) run(t *testing.T, env []string, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	var out bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(append(os.Environ(), "SANDBOX="+w.endpoints), env...)
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	t.Logf("%s %s\n%s", filepath.Base(program), strings.Join(arguments, " "), out.String())
	if err != nil {
		t.Errorf("%s %s: %v", filepath.Base(program), strings.Join(arguments, " "), err)
	}
	return out.String()
}

func TestPython(t *testing.T) {
	t.Parallel()
	w := open(t, "python", "python3")
	for _, script := range []string{"bigquery_rest.py", "storage_write.py", "kafka_registry.py"} {
		w.run(t, nil, filepath.Join(w.folder, "bin", "python"), filepath.Join("python", script))
	}
}

// What docs/sandbox.md shows of Python runs as it stands.
func TestPythonOfThePage(t *testing.T) {
	t.Parallel()
	w := open(t, "python", "python3")
	page, err := os.ReadFile("../../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```python\n")
	block, _, ended := strings.Cut(block, "```")
	if !found || !ended {
		t.Fatal("the page has no Python")
	}
	block = strings.Replace(block, ".waybill/sandbox.json", w.endpoints, 1)
	if out := w.run(t, nil, filepath.Join(w.folder, "bin", "python"), "-c", block); !strings.Contains(out, "7 Porto") {
		t.Errorf("%s", out)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	w := open(t, "node", "node")
	w.run(t, []string{"NODE_PATH=" + filepath.Join(w.folder, "node_modules")}, "node",
		filepath.Join("node", "checks.js"))
}

func TestJava(t *testing.T) {
	t.Parallel()
	w := open(t, "java", "java")
	w.run(t, nil, "java", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(w.folder, "*"),
		filepath.Join("java", "Checks.java"))
}

// Kafka's own tools create, describe, list and count, as a script does.
func TestToolsOfKafka(t *testing.T) {
	t.Parallel()
	w := open(t, "kafka", "java")
	tool := func(class string, arguments ...string) string {
		return w.run(t, nil, "java", append([]string{
			"-XX:TieredStopAtLevel=1", "-cp", filepath.Join(w.folder, "*"), "org.apache.kafka.tools." + class,
			"--bootstrap-server", w.kafka,
		}, arguments...)...)
	}
	const group = "consumer.group.ConsumerGroupCommand"
	for _, step := range []struct {
		class     string
		arguments string
		want      []string
	}{
		{
			"TopicCommand", "--create --topic tools --partitions 3 --config retention.ms=1000000",
			[]string{"Created topic tools."},
		},
		{"TopicCommand", "--list", []string{"tools", "delivery_events_v6_topic"}},
		{
			"TopicCommand", "--describe --topic tools",
			[]string{"PartitionCount: 3", "retention.ms=1000000", "Partition: 2"},
		},
		{"TopicCommand", "--alter --topic tools --partitions 5", nil},
		{"ProducerPerformance", "", nil},
		{"GetOffsetShell", "--topic tools", []string{"tools:0:", "tools:4:"}},
		{
			"ConsumerPerformance", "--topic tools --messages 100 --timeout 60000 --group tool-readers --hide-header",
			[]string{"100"},
		},
		{group, "--list", []string{"tool-readers"}},
		{group, "--list --state", []string{"tool-readers", "Empty"}},
		{group, "--describe --group tool-readers", []string{"tools", "LAG"}},
		// What docs/operations.md has operators do.
		{group, "--group tool-readers --topic tools:0 --reset-offsets --to-offset 1 --execute", []string{"NEW-OFFSET"}},
		{group, "--group tool-readers --all-topics --reset-offsets --to-current --execute", []string{"NEW-OFFSET"}},
		{group, "--describe --all-groups --state", []string{"tool-readers"}},
		{"GroupsCommand", "--list", []string{"tool-readers", "Classic"}},
		{"TopicCommand", "--delete --topic tools", nil},
	} {
		if step.class == "ProducerPerformance" {
			w.run(t, nil, "java", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(w.folder, "*"),
				"org.apache.kafka.tools.ProducerPerformance", "--topic", "tools", "--num-records", "100",
				"--record-size", "10", "--throughput", "-1", "--producer-props",
				"bootstrap.servers="+w.kafka)
			continue
		}
		out := tool(step.class, strings.Fields(step.arguments)...)
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s does not say %q", step.class, step.arguments, want)
			}
		}
		if strings.Contains(out, "NullPointerException") || strings.Contains(out, "because") {
			t.Errorf("%s %s trips", step.class, step.arguments)
		}
	}
}
