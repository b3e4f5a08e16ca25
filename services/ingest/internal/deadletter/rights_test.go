package deadletter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// guarded is a cluster whose principal u has some rights and no others.
func guarded(t *testing.T, topics []string, rights ...kfake.ACL) (*kfake.Cluster, *source.Kafka) {
	t.Helper()
	c := kafkatest.Cluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"),
		kfake.User("PLAIN", "u", "secret", rights...), kfake.SeedTopics(2, topics...))
	k := testKafka(c.ListenAddrs()...)
	k.SASL = source.SASL{Mechanism: source.SASLPlain, User: "u", Password: config.NewSecret("secret")}
	return c, k
}

func allow(kind kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) (acls []kfake.ACL) {
	for _, o := range operations {
		acls = append(acls, kfake.ACL{
			Resource: kind, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: o,
			Allow: true,
		})
	}
	return acls
}

func asAdmin() kgo.Opt { return kgo.SASL(plain.Auth{User: "admin", Pass: "admin"}.AsMechanism()) }

const (
	topicACL = kmsg.ACLResourceTypeTopic
	groupACL = kmsg.ACLResourceTypeGroup
	txnACL   = kmsg.ACLResourceTypeTransactionalId
)

// TestCheckTellsMissingRights takes one right away at a time: check names it, and nothing else is wrong.
func TestCheckTellsMissingRights(t *testing.T) {
	type rights = map[string][]kfake.ACL
	all := func() rights {
		return rights{
			"topic":    allow(topicACL, testTopic, kmsg.ACLOperationRead, kmsg.ACLOperationWrite),
			"letters":  allow(topicACL, letterTopic, kmsg.ACLOperationRead, kmsg.ACLOperationWrite),
			"create":   allow(topicACL, letterTopic, kmsg.ACLOperationCreate),
			"group":    allow(groupACL, "g", kmsg.ACLOperationRead),
			"steering": allow(groupACL, "g-steering", kmsg.ACLOperationRead),
			"replays":  allow(txnACL, transactionalID(letterTopic), kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe),
		}
	}
	for name, test := range map[string]struct {
		missing bool // the dead-letter topic
		change  func(rights)
		what    string
		state   findings.State
		says    string
	}{
		"all":                     {false, func(rights) {}, "", findings.OK, ""},
		"all, and no letters yet": {true, func(rights) {}, "", findings.OK, ""},
		"nothing on the topic": {
			false, func(r rights) { delete(r, "topic") }, "topic events", findings.Fail,
			"grant READ",
		},
		"DESCRIBE on the topic": {false, func(r rights) {
			r["topic"] = allow(topicACL, testTopic,
				kmsg.ACLOperationDescribe)
		}, "topic events", findings.Fail, "READ is missing"},
		"no WRITE for replays": {false, func(r rights) {
			r["topic"] = allow(topicACL, testTopic,
				kmsg.ACLOperationRead)
		}, "replays of events.dead-letter", findings.Warn, "WRITE on events"},
		"nothing on the letters": {
			false, func(r rights) { delete(r, "letters"); delete(r, "create") },
			"topic events.dead-letter", findings.Fail, "grant WRITE",
		},
		"READ on the letters": {false, func(r rights) {
			r["letters"] = allow(topicACL, letterTopic,
				kmsg.ACLOperationRead)
		}, "topic events.dead-letter", findings.Fail, "WRITE is missing"},
		"WRITE on the letters": {false, func(r rights) {
			r["letters"] = allow(topicACL, letterTopic,
				kmsg.ACLOperationWrite)
		}, "replays of events.dead-letter", findings.Warn, "READ on events.dead-letter"},
		"letters may not be created": {
			true, func(r rights) { delete(r, "create") }, "topic events.dead-letter",
			findings.Fail, "grant CREATE",
		},
		"letters may be created and not written": {
			true, func(r rights) {
				r["letters"] = allow(topicACL, letterTopic, kmsg.ACLOperationDescribe)
			}, "topic events.dead-letter", findings.Fail, "grant WRITE",
		},
		"nothing on the group": {false, func(r rights) { delete(r, "group") }, "group g", findings.Fail, "grant READ"},
		"DESCRIBE on the group": {
			false, func(r rights) { r["group"] = allow(groupACL, "g", kmsg.ACLOperationDescribe) },
			"group g", findings.Fail, "READ is missing",
		},
		"nothing on the group of pauses": {
			false, func(r rights) { delete(r, "steering") }, "group g-steering", findings.Warn, "grant READ",
		},
		"no transactional id": {
			false, func(r rights) { delete(r, "replays") }, "replays of events.dead-letter",
			findings.Warn, "transactional id waybill-replay-events.dead-letter",
		},
		"DESCRIBE on the transactional id": {
			false, func(r rights) {
				r["replays"] = allow(txnACL, transactionalID(letterTopic), kmsg.ACLOperationDescribe)
			}, "replays of events.dead-letter", findings.Warn, "WRITE and DESCRIBE on the transactional id",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			have := all()
			test.change(have)
			var list []kfake.ACL
			for _, acls := range have {
				list = append(list, acls...)
			}
			topics := []string{testTopic, letterTopic}
			if test.missing {
				topics = topics[:1]
			}
			c, config := guarded(t, topics, list...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			letters := Defaults()
			found := source.Check(ctx, source.Config{Kafka: *config}, source.Topics{Names: []string{testTopic}},
				Check(&letters))
			reported := false
			for _, f := range found {
				if f.What == test.what && f.State == test.state && strings.Contains(f.Detail+"; "+f.Remedy, test.says) {
					reported = true
				} else if f.State != findings.OK {
					t.Errorf("%+v", f)
				}
			}
			if test.what != "" && !reported {
				t.Errorf("%s is not reported: %+v", test.what, found)
			}
			if info := c.TopicInfo(letterTopic); test.missing && info != nil {
				t.Error("check has created the dead-letter topic")
			}
		})
	}
}

// A dead letter that may not be written names its topic and the right, in the log and at the lane, and goes once it
// may.
func TestDeadLetterWithoutTheRight(t *testing.T) {
	for name, test := range map[string]struct {
		topics []string
		rights []kfake.ACL
		says   string
	}{
		"not written": {[]string{testTopic, letterTopic}, nil, "grant WRITE on the dead-letter topic " + letterTopic},
		"seen": {
			[]string{testTopic, letterTopic},
			allow(topicACL, letterTopic, kmsg.ACLOperationDescribe),
			"grant WRITE on the dead-letter topic " + letterTopic,
		},
		"not created": {
			[]string{testTopic},
			allow(topicACL, letterTopic, kmsg.ACLOperationWrite),
			"grant CREATE on it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, config := guarded(t, test.topics, test.rights...)
			w := newTestWriter(t, config)
			var waits waitText
			sent := make(chan error, 1)
			go func() { sent <- w.Produce(t.Context(), []lane.DeadLetter{letter(1, "a")}, waits.set) }()
			kafkatest.Eventually(t, "the right at the lane", func() bool {
				return strings.Contains(waits.now(), test.says) && strings.Contains(waits.now(), letterTopic)
			})
			if w.logs.Count(test.says) != 1 {
				t.Errorf("the log does not say it once:\n%s", w.logs)
			}
			admin := kadm.NewClient(kafkatest.Producer(t, c, asAdmin()))
			grant := kadm.NewACLs().Allow("User:u").AllowHosts("*").Topics(letterTopic).
				ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite, kadm.OpCreate)
			if _, err := admin.CreateACLs(t.Context(), grant); err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil || waits.now() != "" {
				t.Errorf("%v, and the lane waits for %q", err, waits.now())
			}
		})
	}
}

// A replay that lacks a right names it.
func TestReplayWithoutTheRight(t *testing.T) {
	letters := allow(topicACL, letterTopic, kmsg.ACLOperationRead, kmsg.ACLOperationWrite)
	topic := allow(topicACL, testTopic, kmsg.ACLOperationWrite)
	id := allow(txnACL, transactionalID(letterTopic), kmsg.ACLOperationWrite)
	for name, test := range map[string]struct {
		rights []kfake.ACL
		says   string
	}{
		"the topic": {
			slices.Concat(letters, id, allow(topicACL, testTopic, kmsg.ACLOperationDescribe)),
			"grant WRITE on " + testTopic + " ",
		},
		"the letters": {
			slices.Concat(topic, id, allow(topicACL, letterTopic, kmsg.ACLOperationRead)),
			"grant WRITE on " + letterTopic,
		},
		"reading the letters": {
			slices.Concat(topic, id, allow(topicACL, letterTopic, kmsg.ACLOperationWrite)),
			"grant READ on " + letterTopic,
		},
		"seeing the letters": {slices.Concat(topic, id), letterTopic},
		"the transactional id": {
			slices.Concat(topic, letters),
			"grant WRITE and DESCRIBE on the transactional id " + transactionalID(letterTopic),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, config := guarded(t, []string{testTopic, letterTopic}, test.rights...)
			something := &kgo.Record{Topic: letterTopic, Value: []byte("no letter")}
			if err := kafkatest.Producer(t, c, asAdmin()).ProduceSync(t.Context(), something).FirstErr(); err != nil {
				t.Fatal(err)
			}
			d, err := newReader(t.Context(), Defaults(), config, []string{letterTopic})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			_, err = d.Letters(t.Context(), letterTopic, nil, func(*Letter) error { return nil })
			var r *Transactions
			if err == nil {
				r, err = d.Begin(t.Context(), letterTopic, true)
			}
			if err == nil {
				one := &Letter{At: Place{letterTopic, 0, 0}, Record: *letter(1, "a").Record}
				err = r.Produce([]*Letter{one})
			}
			if err == nil || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}
