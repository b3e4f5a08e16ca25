package kafka

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/sandbox/internal/admin"
)

// Fault makes the cluster fail some requests with an error of Kafka's, or does something to the cluster once.
//
// REQUEST_TIMED_OUT on Produce and OffsetCommit is the lost reply: the work is done, and the response says otherwise.
// Every other error is given before the work.
type Fault struct {
	ID int `json:"id,omitempty"`
	// Action is done at once: move_leaders (every partition to the next broker) or rehash_coordinators (groups to other
	// brokers). All other fields are then empty.
	Action string `json:"action,omitempty"`
	// Key is the request to fail, by Kafka's name: Produce, Fetch, OffsetCommit, JoinGroup, Heartbeat, …
	Key string `json:"key,omitempty"`
	// Error is the name of a Kafka error: NOT_COORDINATOR, ILLEGAL_GENERATION, REQUEST_TIMED_OUT, …
	Error string `json:"error,omitempty"`
	// Count is the number of requests to fail, default 1, -1 for all until the fault is removed.
	Count int `json:"count,omitempty"`
	// Topic, Partitions and Group narrow the requests down; empty means all.
	Topic      string  `json:"topic,omitempty"`
	Partitions []int32 `json:"partitions,omitempty"`
	Group      string  `json:"group,omitempty"`
	// Hits is the number of requests failed so far; set in responses only.
	Hits int `json:"hits"`
}

type installed struct {
	Fault
	handle *kfake.FaultHandle
}

// Add installs a fault, or does its action. An unknown key, error or action is an error that lists the known ones.
func (c *Cluster) Add(fault Fault) (Fault, error) {
	switch fault.Action {
	case "move_leaders":
		return fault, c.MoveLeaders()
	case "rehash_coordinators":
		c.fake.RehashCoordinators()
		return fault, nil
	case "":
	default:
		return fault, fmt.Errorf("unknown action %q: use move_leaders or rehash_coordinators", fault.Action)
	}
	key, err := keyByName(fault.Key)
	if err != nil {
		return fault, err
	}
	code, err := errorByName(fault.Error)
	if err != nil {
		return fault, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault, ErrClosed
	}
	c.nextID++
	fault.ID, fault.Key, fault.Error, fault.Hits = c.nextID, key.Name(), code.Message, 0
	fault.Count = max(-1, fault.Count)
	if fault.Count == 0 {
		fault.Count = 1
	}
	handle := c.fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{key}, Err: code, Count: fault.Count,
		Topic: fault.Topic, Partitions: fault.Partitions, Group: fault.Group,
	})
	c.faults = append(c.faults, &installed{fault, handle})
	return fault, nil
}

// Faults lists what was installed and not removed, spent ones included.
func (c *Cluster) Faults() []Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Fault, 0, len(c.faults))
	for _, fault := range c.faults {
		one := fault.Fault
		one.Hits = fault.handle.Hits()
		all = append(all, one)
	}
	return all
}

// Remove removes the fault with this id, or all of them for 0, and returns how many it removed.
func (c *Cluster) Remove(id int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.faults)
	c.faults = slices.DeleteFunc(c.faults, func(fault *installed) bool {
		if id != 0 && fault.ID != id {
			return false
		}
		fault.handle.Remove()
		return true
	})
	return before - len(c.faults)
}

// Handler serves the faults: see [admin.Faults].
func (c *Cluster) Handler() http.Handler {
	return admin.Faults[Fault]{List: c.Faults, Add: c.Add, Remove: func(text string) (int, error) {
		id, err := admin.Number(text)
		if err != nil {
			return 0, err
		}
		return c.Remove(id), nil
	}}
}

func keyByName(name string) (kmsg.Key, error) {
	for key := int16(0); name != "" && key <= kmsg.MaxKey; key++ {
		if strings.EqualFold(kmsg.NameForKey(key), name) {
			return kmsg.Key(key), nil
		}
	}
	return 0, fmt.Errorf("unknown key %q: name the request to fail as Kafka does, such as Produce, "+
		"Fetch, ListOffsets, Metadata, "+
		"FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch", name)
}

func errorByName(name string) (*kerr.Error, error) {
	const highest = 200 // above every code in Kafka's Errors.java
	for code := int16(1); name != "" && code <= highest; code++ {
		if found := kerr.TypedErrorForCode(code); found != nil && found.Code == code &&
			strings.EqualFold(found.Message, name) {
			return found, nil
		}
	}
	return nil, fmt.Errorf("unknown error %q: use a name of Kafka's, such as NOT_COORDINATOR, "+
		"COORDINATOR_LOAD_IN_PROGRESS, "+
		"NOT_LEADER_FOR_PARTITION, REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, "+
		"FENCED_INSTANCE_ID, REQUEST_TIMED_OUT, "+
		"OFFSET_OUT_OF_RANGE, TOPIC_AUTHORIZATION_FAILED", name)
}
