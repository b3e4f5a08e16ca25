package source

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
)

// Plan is what Kafka keeps of a replay.
type Plan struct {
	// Group is the one that the replay reads as.
	Group string
	// Entries are what is kept of its partitions, and Positions what its lanes have committed.
	Entries   map[pauses.Lane]string
	Positions map[pauses.Lane]int64
	// Hosts are those of the group's members; empty: nobody runs it.
	Hosts []string
}

// Plans reads what is kept of the replays whose groups begin with prefix, at most so many: the plan of a group has its
// name and suffix. Groups that this principal may not describe are left out by the brokers, which are found by a topic,
// whichever it is.
func (w *Entries) Plans(ctx context.Context, topic, prefix, suffix string, most int) ([]Plan, error) {
	o, err := w.open()
	if err != nil {
		return nil, Explain(err)
	}
	defer w.backlog.Done()
	return Await(ctx, &w.backlog, func() ([]Plan, error) {
		if err := o.client.RefreshMetadata(topic); err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil, Explain(err)
		}
		names, err := groups(o.client, prefix, suffix)
		if err != nil {
			return nil, Explain(err)
		}
		var out []Plan
		for _, name := range names[:min(len(names), most)] {
			p, err := plan(o.client, name, suffix)
			if err != nil {
				return nil, Explain(err)
			}
			if len(p.Entries) > 0 {
				out = append(out, p)
			}
		}
		return out, nil
	})
}

// groups lists those of all brokers whose names begin and end so.
func groups(client sarama.Client, prefix, suffix string) (names []string, err error) {
	for _, b := range client.Brokers() {
		r, err := twice(client, b, func() (*sarama.ListGroupsResponse, error) {
			return b.ListGroups(&sarama.ListGroupsRequest{})
		})
		if err != nil {
			return nil, err
		}
		if r.Err != sarama.ErrNoError {
			return nil, r.Err
		}
		for name := range r.Groups {
			if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// twice sends a request to a broker, and once more where its connection has rested too long.
func twice[R any](client sarama.Client, b *sarama.Broker, send func() (R, error)) (r R, err error) {
	for range 2 {
		Connect(client, b)
		if _, err = b.Connected(); err == nil {
			if r, err = send(); err == nil {
				return r, nil
			}
		}
		_ = b.Close()
	}
	return r, err
}

// plan reads one.
func plan(client sarama.Client, name, suffix string) (Plan, error) {
	p := Plan{Group: strings.TrimSuffix(name, suffix), Positions: map[pauses.Lane]int64{}}
	var err error
	if p.Entries, err = (&offsets{client: client, group: name}).all(); err != nil {
		return p, err
	}
	of := &offsets{client: client, group: p.Group}
	blocks, err := of.blocks()
	if err != nil {
		return p, err
	}
	for topic, partitions := range blocks {
		for n, block := range partitions {
			if block.Err == sarama.ErrNoError && block.Offset >= 0 {
				p.Positions[pauses.Lane{Topic: topic, Partition: n}] = block.Offset
			}
		}
	}
	r, err := roundTrip(of, func(b *sarama.Broker) (*sarama.DescribeGroupsResponse, error) {
		return b.DescribeGroups(&sarama.DescribeGroupsRequest{Groups: []string{p.Group}})
	})
	if err != nil {
		return p, err
	}
	for _, g := range r.Groups {
		for _, m := range g.Members {
			host := strings.TrimPrefix(m.ClientHost, "/")
			if name, _, err := net.SplitHostPort(host); err == nil {
				host = name
			}
			p.Hosts = append(p.Hosts, host)
		}
	}
	slices.Sort(p.Hosts)
	p.Hosts = slices.Compact(p.Hosts)
	return p, nil
}
