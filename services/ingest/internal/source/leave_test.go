package source

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/config"
)

// longSession is a session timeout that no test waits for.
func longSession(c *Config) {
	c.Kafka.SessionTimeout = config.Duration(10 * time.Minute)
	c.Kafka.InstanceID = "one"
}

func successor(t *testing.T, c Config) *running {
	t.Helper()
	return start(t, c.with(func(c *Config) { c.Kafka.InstanceID = "two" }), false)
}

// A static member that is told so leaves when it stops: its partition is another one's long before its session ends.
func TestStaticMemberLeavesOnOrder(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic), kfake.GroupMaxSessionTimeout(time.Hour))
	c := testConfig(cluster.ListenAddrs()...).with(longSession).with(func(c *Config) { c.Kafka.Leave = true })
	first := start(t, c, false)
	first.claim(t)
	first.stop()
	successor(t, c).claim(t)
}

// One that is not keeps its partition while it is away, and comes back to it under the same name; once it is taken out
// of the group by its name, the others get the partition.
func TestAStaticMemberThatIsGoneForGoodIsTakenOut(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic), kfake.GroupMaxSessionTimeout(time.Hour))
	c := testConfig(cluster.ListenAddrs()...).with(longSession)
	first := start(t, c, false)
	first.claim(t)
	first.stop()
	again := start(t, c, false)
	again.claim(t)
	again.stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := Leave(ctx, c, []string{"another", "one"}); !errors.Is(err, ErrNoMember) {
		t.Errorf("of a member that does not exist: %v", err)
	}
	successor(t, c).claim(t)
	if err := Leave(ctx, c, []string{"one"}); !errors.Is(err, ErrNoMember) {
		t.Errorf("of a member that has left: %v", err)
	}
}

// A coordinator that has moved is looked for, and what was done though nobody said so is done.
func TestLeavingOutlastsACoordinatorThatMoves(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic), kfake.GroupMaxSessionTimeout(time.Hour))
	c := testConfig(cluster.ListenAddrs()...).with(longSession)
	first := start(t, c, false)
	first.claim(t)
	first.stop()
	requested := 0
	cluster.ControlKey(int16(kmsg.LeaveGroup), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if requested++; requested > 1 {
			return nil, nil, false
		}
		response := r.ResponseKind().(*kmsg.LeaveGroupResponse)
		response.ErrorCode = 16 // NOT_COORDINATOR
		return response, nil, true
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := Leave(ctx, c, []string{"one"}); err != nil {
		t.Error(err)
	}
	if requested < 2 { // more often when a response takes longer than a request may
		t.Errorf("it asked %d times", requested)
	}
}

// Nobody learns of brokers that are away but as an error with a remedy.
func TestLeavingWithoutBrokers(t *testing.T) {
	c := testConfig("127.0.0.1:1").with(longSession)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := Leave(ctx, c, []string{"one"}); err == nil {
		t.Error("it left")
	}
}
