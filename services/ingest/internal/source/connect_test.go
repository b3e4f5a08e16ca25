package source

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// A broker that is opened when its client has been closed does not stay open: whoever closes the client does not wait
// for calls that are under way.
func TestNothingIsOpenedBehindAClosedClient(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	client, err := sarama.NewClient(c.ListenAddrs(), sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	b, err := client.Leader(testTopic, 0)
	if err != nil {
		t.Fatal(err)
	}
	if Connect(client, b); !connected(b) {
		t.Error("a broker of an open client is not connected")
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	_ = b.Close() // as the client does by and by
	if Connect(client, b); connected(b) {
		t.Error("a broker of a closed client stays open")
		_ = b.Close()
	}
}

func connected(b *sarama.Broker) bool {
	ok, _ := b.Connected()
	return ok
}
