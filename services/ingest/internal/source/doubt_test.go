package source

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// losses are ways not to get a response, as kfake's control functions say them.
var losses = map[string]error{"silence": nil, "connection": errors.New("cut")}

// refusal responds to a commit with an error.
func refusal(req *kmsg.OffsetCommitRequest, code *kerr.Error) *kmsg.OffsetCommitResponse {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, topic := range req.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// delay takes the next commit out of the cluster's hands, to be applied later.
func delay(c *kfake.Cluster, lost error) <-chan *kmsg.OffsetCommitRequest {
	taken := make(chan *kmsg.OffsetCommitRequest, 1)
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		taken <- req.(*kmsg.OffsetCommitRequest)
		return nil, lost, true
	})
	return taken
}

// arrive applies a delayed commit and returns the coordinator's response.
func arrive(t *testing.T, c *kfake.Cluster, req *kmsg.OffsetCommitRequest) error {
	t.Helper()
	// Later versions name topics by id, which the request does not have.
	resp, err := req.RequestWith(t.Context(), producer(t, c, kgo.MaxVersions(kversion.V3_0_0())))
	if err != nil {
		t.Fatal(err)
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// A commit without a response lands after a newer one: the coordinator must refuse it by its generation. The member in
// doubt is a follower, which a coordinator gives the same generation again unless it insists. Its claim goes on, and
// the commit is confirmed in the generation that it asks for.
func TestDoubtfulCommit(t *testing.T) {
	for name, lost := range losses {
		for _, assignment := range []string{AssignCooperative, AssignSticky, AssignRange} {
			t.Run(name+"/"+assignment, func(t *testing.T) {
				t.Parallel()
				c := newCluster(t, kfake.SeedTopics(2, testTopic))
				cfg := testConfig(c.ListenAddrs()...).with(func(c *Config) {
					c.Kafka.Assignment, c.Kafka.SessionTimeout = assignment, config.Duration(45*time.Second)
				})
				a := start(t, cfg, false)
				for range 2 {
					a.claim(t)
				}
				b := start(t, cfg, false)
				o := b.claim(t)
				if assignment != AssignCooperative {
					a.claim(t)
				}
				mustCommit(t, o, 1, "before")

				late := delay(c, lost)
				began := time.Now()
				mustCommit(t, o, 2, "doubtful")
				if took := time.Since(began); took >= time.Duration(cfg.Kafka.SessionTimeout+cfg.Kafka.RequestTimeout) {
					t.Errorf("joined again after %v", took)
				}
				mustCommit(t, o, 3, "newest")
				if err := arrive(t, c, <-late); !errors.Is(err, kerr.IllegalGeneration) {
					t.Errorf("the late commit got %v, want ILLEGAL_GENERATION", err)
				}
				mustCommitted(t, o, 3, "newest")
				if o.ctx.Err() != nil || len(b.claims) != 0 {
					t.Error("the claim did not go on")
				}
				if n := counted(t, b.metrics.doubtful); n != 1 || b.logs.Count("was left without a response") != 1 {
					t.Errorf("%v doubtful commits counted\n%s", n, b.logs)
				}
			})
		}
	}
}

// A doubtful commit on the timer bars the claims of the whole member from committing, and they go on by themselves. It
// may also have been applied.
func TestDoubtfulTimerCommit(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	first, second := s.claim(t), s.claim(t)
	late := delay(c, errors.New("cut"))
	first.CommitLater(lane.Pair{Position: 1, Checkpoint: "doubtful"})
	request := <-late
	for _, o := range []*owned{first, second} {
		mustCommit(t, o, 5, "newest")
	}
	if err := arrive(t, c, request); !errors.Is(err, kerr.IllegalGeneration) {
		t.Errorf("the late commit got %v, want ILLEGAL_GENERATION", err)
	}
	if position, checkpoint := stored(c, first.Number()); position != 5 || checkpoint != "newest" {
		t.Errorf("committed %d %q", position, checkpoint)
	}
	if first.ctx.Err() != nil || second.ctx.Err() != nil {
		t.Error("a claim has ended")
	}
}

// A network that loses every response slows the member down; when it heals, the member is back.
func TestDoubtAfterDoubt(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	const times = 4
	o := s.claim(t)
	for i := range int64(times) {
		delay(c, errors.New("cut"))
		mustCommit(t, o, i, "doubtful")
	}
	mustCommit(t, o, times, "at last")
	if n := counted(t, s.metrics.doubtful); n != times {
		t.Errorf("%v doubtful commits, want %d", n, times)
	}
}

// An ordinary stop, with a commit under way, is no doubt.
func TestNoDoubtAtStop(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	seen, hold := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(seen)
		c.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	o.CommitLater(lane.Pair{Position: 4, Checkpoint: "last"})
	<-seen
	var stop sync.WaitGroup
	stop.Go(s.stop)
	<-o.done
	close(hold)
	stop.Wait()
	if n := counted(t, s.metrics.doubtful); n != 0 {
		t.Errorf("%v doubtful commits", n)
	}
	if position, checkpoint := stored(c, 0); position != 4 || checkpoint != "last" {
		t.Errorf("committed %d %q", position, checkpoint)
	}
}

// The generation of a doubtful commit is refused should the coordinator hand it out again.
func TestRenewalRefusesTheSameGeneration(t *testing.T) {
	var r renewal
	old := member{id: "m", generation: 3}
	if err := r.check(old); err != nil {
		t.Error(err)
	}
	r.doubt(old)
	before, _ := marked{renewal: &r}.SubscriptionUserData(nil)
	if err := r.check(old); !errors.Is(err, errSameGeneration) {
		t.Errorf("check() = %v", err)
	}
	if after, _ := (marked{renewal: &r}).SubscriptionUserData(nil); bytes.Equal(after, before) {
		t.Error("the next subscription is the same")
	}
	for _, m := range []member{{id: "m", generation: 4}, {id: "n", generation: 3}} {
		if err := r.check(m); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// breakable is a listener whose connections can be cut.
type breakable struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (b *breakable) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.conns = append(b.conns, conn)
	}
	return conn, err
}

func (b *breakable) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.conns {
		_ = conn.Close()
	}
	b.conns = nil
}

// What was surely not sent is no doubt: a connection that rested and was dropped for it, and a broker that takes no
// connections.
func TestUnsentCommitIsNoDoubt(t *testing.T) {
	var l *breakable
	c := newCluster(t, kfake.SeedTopics(1, testTopic), kfake.ListenFn(
		func(network, address string) (net.Listener, error) {
			inner, err := net.Listen(network, address)
			l = &breakable{Listener: inner}
			return l, err
		}))
	cfg := testConfig(c.ListenAddrs()...)
	base, err := cfg.Kafka.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := sarama.NewClient(cfg.Kafka.Brokers, base)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	o := &offsets{client: client, group: testGroup}
	tp := topicPartition{testTopic, 0}
	commit := func(position int64) error {
		all := map[topicPartition]*handed{tp: {Pair: lane.Pair{Position: position}}}
		return o.commit(member{generation: -1}, all)[tp]
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	l.cut()
	if err := commit(2); !errors.Is(err, errDoubtful) {
		t.Errorf("on a connection that broke: %v, want a doubt", err)
	}
	if err := commit(3); err != nil {
		t.Errorf("the next: %v", err)
	}
	l.cut()
	o.responded.Store(time.Now().Add(-2 * idle).UnixNano())
	if err := commit(4); err != nil {
		t.Errorf("on a connection that rested: %v", err)
	}
	c.Close()
	o.responded.Store(0)
	for range 2 {
		if err := commit(5); err == nil || errors.Is(err, errDoubtful) {
			t.Errorf("with no broker: %v, want no doubt", err)
		}
	}
}
