package ingest

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// table prints the findings and returns them as text.
func table(t *testing.T, c Config) (text string, failed bool) {
	t.Helper()
	var out strings.Builder
	failed = findings.Print(&out, Check(t.Context(), c))
	return out.String(), failed
}

func TestCheckFindsAllWell(t *testing.T) {
	kafka := newCluster(t, kfake.SeedTopics(4, deliveryTopic), kfake.ClusterID("c1"))
	text, failed := table(t, testConfig(kafka, startWriter(t, &memoryWriter{})))
	for _, want := range []string{
		"compiles; rows go to delivery_events", `1 respond, cluster "c1"`, "4 partitions",
		"is made when the first dead letter is due",
		"nothing committed; starts at the earliest offset", "serves", "0 to look at, 0 failed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if failed || t.Failed() {
		t.Error(text)
	}
	if kafka.TopicInfo(deliveryTopic+".dead-letter") != nil {
		t.Error("the check made a topic")
	}
}

// A container that has room for the budget and not for the lanes is worth a warning, beside that for the budget alone.
func TestCheckCountsLanes(t *testing.T) {
	limit := func(most int64) func(int64, int) (int64, int64, bool) {
		return func(budget int64, lanes int) (int64, int64, bool) {
			need := budget + int64(lanes)
			return need, most, need > most
		}
	}
	if found := tooManyLanes(100<<20, 1<<20, limit(150<<20)); len(found) != 0 {
		t.Errorf("there is room: %+v", found)
	}
	found := tooManyLanes(100<<20, 60<<20, limit(150<<20))
	if len(found) != 1 || found[0].State != findings.Warn ||
		!strings.Contains(found[0].Detail, "takes about 160 MiB") ||
		!strings.Contains(found[0].Detail, "has 150") {
		t.Errorf("no room: %+v", found)
	}
	if found := tooManyLanes(200<<20, 60<<20, limit(150<<20)); len(found) != 0 {
		t.Errorf("what the budget alone is too large for is said elsewhere: %+v", found)
	}
	kafka := newCluster(t, kfake.SeedTopics(3, deliveryTopic))
	c := testConfig(kafka, "127.0.0.1:1")
	n, err := source.CountPartitions(t.Context(), c.source(), source.Topics{
		Names: []string{deliveryTopic, "missing"}, Match: func(string) (bool, error) { return false, nil },
	})
	if n != 3 || err != nil {
		t.Errorf("%d partitions, %v", n, err)
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  []kfake.Opt
		fault kfake.Fault
		// compacted is a topic with cleanup.policy=compact.
		compacted string
		change    func(*Config)
		want      []string
		failed    bool
	}{
		"no topic": {want: []string{"warn", "does not exist", "create it, or correct the contract's topic"}},
		"no brokers": {
			change: func(c *Config) { c.Kafka.Brokers = []string{"127.0.0.1:1"} },
			want:   []string{"no broker responds", "start the brokers"}, failed: true,
		},
		"no writer": {
			change: func(c *Config) { c.Writer.Endpoints = []string{"127.0.0.1:1"} },
			want:   []string{"connection refused", "start the writer"}, failed: true,
		},
		"not a writer": {
			change: func(c *Config) { c.Writer.Endpoints = c.Kafka.Brokers }, want: []string{"FAIL", "writer.target"},
			failed: true,
		},
		"no dead-letter topic": {
			opts:   []kfake.Opt{kfake.SeedTopics(1, deliveryTopic)},
			change: func(c *Config) { c.DeadLetter.Create = false },
			want:   []string{"does not exist", "set dead_letter.create: true"}, failed: true,
		},
		"compacted dead-letter topic": {
			opts: []kfake.Opt{kfake.SeedTopics(1, deliveryTopic)}, compacted: deliveryTopic + ".dead-letter",
			want: []string{"warn", "is compacted", "set cleanup.policy=delete"},
		},
		"contracts": {
			opts: []kfake.Opt{kfake.SeedTopics(1, deliveryTopic)}, change: func(c *Config) { c.ContractsDir = "none" },
			want: []string{"FAIL  contracts", "name a folder", "1 respond", "serves"}, failed: true,
		},
		"no access to the group": {
			opts:  []kfake.Opt{kfake.SeedTopics(1, deliveryTopic)},
			fault: kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed, Count: -1},
			want:  []string{"group g", "grant READ on the"}, failed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kafka := newCluster(t, tt.opts...)
			if tt.fault.Err != nil {
				kafka.Fault(tt.fault)
			}
			if tt.compacted != "" {
				createCompacted(t, kafka, tt.compacted)
			}
			c := testConfig(kafka, startWriter(t, &memoryWriter{}))
			if tt.change != nil {
				tt.change(&c)
			}
			text, failed := table(t, c)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
			if failed != tt.failed || t.Failed() {
				t.Errorf("failed: %v\n%s", failed, text)
			}
		})
	}
}

func createCompacted(t *testing.T, kafka *kfake.Cluster, topic string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	policy := "compact"
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy},
		topic); err != nil {
		t.Fatal(err)
	}
}

// What is invalid in a schema and not used is a warning of the check, and no fault.
func TestCheckWarnsOfSchemas(t *testing.T) {
	set, err := contract.Load(t.Context(), []contract.Config{{
		Topic: "t", Format: "avro", Schema: "s.avsc", Table: "t", Types: []string{"*"},
	}}, "cmd/ingest/testdata/field/decscale", contract.Env{})
	if err != nil {
		t.Fatal(err)
	}
	found := compiled("contract of t", set.Topic("t"))
	if len(found) != 2 || found[0].State != findings.OK || found[1].State != findings.Warn ||
		!strings.Contains(found[1].Detail, "s: R.amount: a decimal of precision 4 and scale 5 is no logical type") {
		t.Errorf("%+v", found)
	}
}

// The longest name that Kafka takes for a topic leaves no room for the suffix of dead letters: theirs is shortened, and
// the check says under which name. One more character is a fault of the configuration.
func TestCheckOfTheLongestTopic(t *testing.T) {
	long := strings.Repeat("orders.v1_", 25)[:249]
	kafka := newCluster(t, kfake.SeedTopics(2, long))
	c := testConfig(kafka, startWriter(t, &memoryWriter{}))
	of := func(topic string) contract.Config {
		return contract.Config{Topic: topic, Format: "raw", Table: strings.Repeat("t", 1024), Types: []string{"*"}}
	}
	c.Contracts = []contract.Config{of(long)}
	letters := c.DeadLetter.Topic(long)
	if len(letters) != 249 || !strings.HasSuffix(letters, c.DeadLetter.Suffix) {
		t.Errorf("dead letters go to %s", letters)
	}
	text, failed := table(t, c)
	for _, want := range []string{long, "2 partitions", letters, "is made when the first dead letter is due"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("no %q", want)
		}
	}
	if failed || t.Failed() {
		t.Error(text)
	}
	for key, wrong := range map[string]contract.Config{
		"topic": of(long + "o"),
		"table": {Topic: long, Format: "raw", Table: strings.Repeat("t", 1025), Types: []string{"*"}},
	} {
		c.Contracts = []contract.Config{wrong}
		if text, failed := table(t, c); !failed || !strings.Contains(text, "no name of a") {
			t.Errorf("%s too long: %s", key, text)
		}
	}
}
