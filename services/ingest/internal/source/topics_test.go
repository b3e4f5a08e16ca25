package source

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	secrets "github.com/waybill-data/waybill/pkg/config"
)

func TestTopicAppears(t *testing.T) {
	c := newCluster(t)
	s := start(t, testConfig(c.ListenAddrs()...), false, testTopic, "second")
	eventually(t, "the wait in the log", func() bool { return s.logs.Count("does not exist yet") == 2 })
	// What is missing is said before the state is set.
	eventually(t, "ready: waiting for topics is no fault", func() bool { return s.Ready() == nil })
	adm := kadm.NewClient(producer(t, c))
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, testTopic); err != nil {
		t.Fatal(err)
	}
	o := s.claim(t)
	mustCommit(t, o, 1, "first")
	// The other topic does not exist still, which holds up nobody; when it does, it joins.
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "second"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 3 {
		seen[s.claim(t).Topic()]++
	}
	if seen[testTopic] != 1 || seen["second"] != 2 {
		t.Errorf("claims %v", seen)
	}
	if n := s.logs.Count("does not exist yet"); n != 2 {
		t.Errorf("said %d times that topics are missing, want once each", n)
	}
}

func TestPartitionsAreAdded(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	first := s.claim(t)
	if _, err := kadm.NewClient(producer(t, c)).CreatePartitions(t.Context(), 2, testTopic); err != nil {
		t.Fatal(err)
	}
	seen := map[int32]bool{first.Number(): true}
	for len(seen) < 3 {
		seen[s.claim(t).Number()] = true
	}
	if first.ctx.Err() != nil {
		t.Error("the partition that was there before has ended for it")
	}
}

func TestCompactedTopicIsRefused(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	policy := "compact,delete"
	adm := kadm.NewClient(producer(t, c))
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &policy},
		"state"); err != nil {
		t.Fatal(err)
	}
	s := start(t, testConfig(c.ListenAddrs()...), false, testTopic, "state")
	if o := s.claim(t); o.Topic() != testTopic {
		t.Errorf("claim of %s", o.Topic())
	}
	if s.logs.Count("cleanup.policy=delete") != 1 {
		t.Error("no remedy in the log")
	}
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "topic state is refused") ||
		!strings.Contains(err.Error(), "cleanup.policy=delete") {
		t.Errorf("ready with a refused topic: %v", err)
	}
}

func TestNotAllowedToDescribeConfigs(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	start(t, testConfig(c.ListenAddrs()...), false).claim(t)
}

func TestBrokerAwayAtStart(t *testing.T) {
	door := newDoorway(t)
	s := start(t, testConfig(door.Addr().String()), false)
	eventually(t, "the wait in the log", func() bool { return s.logs.Count("the brokers do not respond") == 1 })
	if err := s.Ready(); err == nil {
		t.Error("ready without brokers")
	}
	newCluster(t, door.leadsTo(), kfake.SeedTopics(1, testTopic))
	mustCommit(t, s.claim(t), 1, "at last")
	if n := s.logs.Count("trying again"); n != 1 {
		t.Errorf("said it %d times", n)
	}
}

func TestStopWhileBrokerIsAway(t *testing.T) {
	s := start(t, testConfig("127.0.0.1:1"), false)
	eventually(t, "the wait in the log", func() bool { return s.logs.Count("the brokers do not respond") == 1 })
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopping took %v", took)
	}
}

// Topics that match are found while the source runs; internal ones and dead letters never are.
func TestTopicPattern(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "orders_a", "orders_a.dead-letter", "__orders_internal", "other"))
	requested := make(chan string, 1000)
	match := func(name string) (bool, error) {
		requested <- name
		if name == "orders_bad" {
			return false, errors.New("two patterns")
		}
		return strings.Contains(name, "orders"), nil
	}
	s := startTopics(t, testConfig(c.ListenAddrs()...), false, Topics{Except: ".dead-letter", Match: match})
	if o := s.claim(t); o.Topic() != "orders_a" {
		t.Fatalf("claim of %s", o.Topic())
	}
	adm := kadm.NewClient(producer(t, c))
	if _, err := adm.CreateTopics(t.Context(), 1, 1, nil, "orders_b", "orders_bad"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 2 {
		seen[s.claim(t).Topic()] = true
	}
	if !seen["orders_a"] || !seen["orders_b"] {
		t.Errorf("claims of %v", seen)
	}
	eventually(t, "the refusal in the log", func() bool { return s.logs.Count("two patterns") == 1 })
	s.stop()
	close(requested)
	for name := range requested {
		if strings.HasPrefix(name, "__") || strings.HasSuffix(name, ".dead-letter") {
			t.Errorf("asked about %s", name)
		}
	}
}

// A pattern that nothing matches yet is waited for, and a topic that is named needs no match.
func TestNothingMatches(t *testing.T) {
	c := newCluster(t)
	nothing := func(string) (bool, error) { return false, nil }
	s := startTopics(t, testConfig(c.ListenAddrs()...), false, Topics{Names: []string{testTopic}, Match: nothing})
	eventually(t, "the wait in the log", func() bool { return s.logs.Count("does not exist yet") == 1 })
	// What is missing is said before the state is set.
	eventually(t, "ready: waiting for topics is no fault", func() bool { return s.Ready() == nil })
	if _, err := kadm.NewClient(producer(t, c)).CreateTopic(t.Context(), 1, 1, nil, testTopic); err != nil {
		t.Fatal(err)
	}
	s.claim(t)
}

// A topic that may be described and not read is no topic that is read: it is refused at once, not by the first fetch.
func TestTopicThatMayOnlyBeSeen(t *testing.T) {
	acl := func(kind kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{
			Resource: kind, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: operation, Allow: true,
		}
	}
	c := newCluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"),
		kfake.SeedTopics(1, testTopic, "seen"),
		kfake.User("PLAIN", "u", "secret", acl(kmsg.ACLResourceTypeTopic, testTopic, kmsg.ACLOperationRead),
			acl(kmsg.ACLResourceTypeTopic, "seen", kmsg.ACLOperationDescribe),
			acl(kmsg.ACLResourceTypeGroup, testGroup, kmsg.ACLOperationRead)))
	config := testConfig(c.ListenAddrs()...)
	config.Kafka.SASL = SASL{Mechanism: SASLPlain, User: "u", Password: secrets.NewSecret("secret")}
	s := start(t, config, false, testTopic, "seen")
	if o := s.claim(t); o.Topic() != testTopic {
		t.Errorf("claim of %s", o.Topic())
	}
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "topic seen is refused") ||
		!strings.Contains(err.Error(), "grant READ on the topic") {
		t.Errorf("ready with a topic that may not be read: %v", err)
	}
}
