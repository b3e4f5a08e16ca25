package e2e

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/sandbox/events"
)

// at runs a command of ingest, asking one of the services of the stack, and returns its exit status and what it prints.
func (w *world) at(requested *stack.Service, args ...string) (int, string) {
	out, errs, code := w.ingest(append(args, "--at", requested.GRPC)...)
	return code, out + errs
}

// acts runs an act, which must succeed, and reads what it returns.
func (w *world) acts(into proto.Message, requested *stack.Service, args ...string) {
	w.t.Helper()
	code, out := w.at(requested, append(args, "-o", "json")...)
	if code != 0 {
		w.t.Fatalf("ingest %s: status %d, %s", strings.Join(args, " "), code, out)
	}
	if err := protojson.Unmarshal([]byte(out), into); err != nil {
		w.t.Fatalf("ingest %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// states waits until all lanes of a topic are in a state, and returns the sum of their positions.
func (w *world) states(topic, state string) (positions int64) {
	const lanes = 4
	w.t.Helper()
	w.until(fmt.Sprintf("%d lanes of %s are %s", lanes, topic, state), func() error {
		found := 0
		positions = 0
		var other []stack.Lane
		for _, i := range w.Ingests {
			if !i.Running() {
				continue
			}
			all, err := i.Lanes(w.ctx)
			if err != nil {
				return err
			}
			for _, l := range all {
				if l.Topic == topic && l.State == state {
					found++
					positions += l.Position
				} else if l.Topic == topic {
					other = append(other, l)
				}
			}
		}
		if found != lanes || len(other) > 0 {
			return fmt.Errorf("%d are, others: %+v", found, other)
		}
		return nil
	})
	return positions
}

// A topic is paused at one ingest while another one carries it: everywhere it settles what is on its way and reads
// nothing more, also after its ingests were killed and its partitions went to others, while the other topic goes on.
// A second call with the same id does nothing; another operator sees who was there before; what does not exist is named
// with what is nearest. Resumed, every offset is in its table once.
func TestPausedTopic(t *testing.T) {
	t.Parallel()
	w := peered(t)
	first, second := w.Ingests[0], w.Ingests[1]
	topic := stack.DeliveryTopic
	w.produce(topic, 2000, events.Config{})
	w.produce(stack.StockTopic, 200, events.Config{})

	pause := []string{
		"pause",
		"--topic",
		topic,
		"--for",
		"1h",
		"--reason",
		"the table is being moved",
		"--request-id",
		"one",
	}
	var said, again adminv1.PauseResponse
	w.acts(&said, first, append(pause, "--validate")...)
	if said.GetResult().GetChanged() || len(said.GetLanes()) != 4 {
		t.Fatalf("validated: %v", &said)
	}
	w.acts(&said, first, pause...)
	if !said.GetResult().GetChanged() || said.GetResult().GetRepeated() || len(said.GetResult().GetResponses()) != 2 {
		t.Fatalf("paused: %v", &said)
	}
	for _, requested := range w.Ingests {
		w.acts(&again, requested, pause...)
		if !again.GetResult().GetRepeated() ||
			!proto.Equal(again.GetLanes()[0].GetUntil(), said.GetLanes()[0].GetUntil()) {
			t.Errorf("the same act again, at %s: %v", requested.Name, &again)
		}
	}
	at := w.states(topic, "paused")
	w.produce(topic, 400, events.Config{})
	w.produce(stack.StockTopic, 200, events.Config{})
	w.until("the other topic goes on", func() error {
		produced, err := w.log.Produced(w.ctx, stack.StockTopic)
		if err != nil {
			return err
		}
		if committed, err := w.log.Committed(w.ctx, stack.StockTopic); err != nil || committed != produced {
			return fmt.Errorf("%d of %d committed, %w", committed, produced, err)
		}
		return nil
	})

	second.Kill()
	w.states(topic, "paused") // the partitions of the one that died come paused
	w.restart(second)
	first.Kill()
	w.restart(first)
	w.until("the positions are those of before two deaths", func() error { // a lane that comes paused reads its own
		if now := w.states(topic, "paused"); now != at {
			return fmt.Errorf("they add to %d, and did to %d", now, at)
		}
		return nil
	})
	if code, out := w.top("--once"); code != 0 ||
		!strings.Contains(out, "delivery_events has lanes that are paused until") {
		t.Errorf("top --once: status %d, %s", code, out)
	}

	var shorter adminv1.PauseResponse
	w.acts(&shorter, second, "pause", "--topic", topic, "--partition", "3", "--for", "2h", "--request-id", "two")
	w.acts(&shorter, second, "pause", "--table", "delivery_events", "--for", "3h", "--request-id", "three")
	if e := shorter.GetResult().GetEarlier(); len(e) == 0 || e[0].GetKind() != "operator: pause" ||
		!strings.Contains(e[0].GetText(), "request_id=two") {
		t.Errorf("the other operator's act is not shown: %v", e)
	}
	for want, args := range map[string][]string{
		`the nearest is "` + topic + `"`:    {"resume", "--topic", topic + "x"},
		`the nearest is "delivery_events"`:  {"resume", "--table", "delivery_event"},
		"has no partition 4; it has 0 to 3": {"resume", "--topic", topic, "--partition", "4"},
		"was used for another act":          {"pause", "--topic", topic, "--for", "9h", "--request-id", "three"},
		"is not within 1s and 144h":         {"pause", "--topic", topic},
		"names neither a topic nor a table": {"resume"},
		"names a topic and a table":         {"resume", "--topic", topic, "--table", "delivery_events"},
		"500 is the most":                   {"resume", "--topic", topic, "--reason", strings.Repeat("x", 501)},
	} {
		if code, out := w.at(second, args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("ingest %v: status %d, %s; want %q", args, code, out, want)
		}
	}
	if now := w.states(topic, "paused"); now != at {
		t.Errorf("what was refused has moved the positions from %d to %d", at, now)
	}
	if code, out := w.at(first, "pause", "--list"); code != 0 || strings.Count(out, "table delivery_events") != 4 {
		t.Errorf("pause --list: status %d, %s", code, out)
	}

	var resumed adminv1.ResumeResponse
	w.acts(&resumed, first, "resume", "--topic", topic)
	if len(resumed.GetLanes()) != 4 {
		t.Errorf("resumed: %v", &resumed)
	}
	w.verified()
	w.acts(&resumed, first, "resume", "--topic", topic)
	if resumed.GetResult().GetChanged() {
		t.Errorf("resumed again: %v", &resumed)
	}
}

// A pause ends by itself when its time has come.
func TestPauseEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{DeliveryPartitions: 2, StockPartitions: 1})
	if code, out := w.at(w.Ingests[0], "pause", "--topic", stack.DeliveryTopic, "--for", "3s"); code != 0 {
		t.Fatalf("status %d, %s", code, out)
	}
	w.produce(stack.DeliveryTopic, 200, events.Config{})
	w.verified()
	if code, out := w.at(w.Ingests[0], "events", "--filter", "operator: "); code != 0 ||
		!strings.Contains(out, "operator: pause") {
		t.Errorf("events: status %d, %s", code, out)
	}
}

// A lane is sent to the writer that is named, whichever ingest is asked; all lanes leave a writer that is drained, and
// come back with its end; what cannot be is refused with the reason. Every offset is in its table once.
func TestMovedLanes(t *testing.T) {
	t.Parallel()
	w := peered(t)
	topic := stack.DeliveryTopic
	w.produce(topic, 400, events.Config{})
	w.settled()
	where := func(partition int32) (writer string) {
		t.Helper()
		w.until("the lane is open", func() error {
			for _, i := range w.Ingests {
				lanes, err := i.Lanes(w.ctx)
				if err != nil {
					return err
				}
				for _, l := range lanes {
					if l.Topic == topic && l.Partition == partition && l.State == "open" {
						writer = l.Writer
						return nil
					}
				}
			}
			return fmt.Errorf("partition %d is not open", partition)
		})
		return writer
	}
	others := map[string]string{"writer": "writer-2", "writer-2": "writer"}
	from := where(2)
	move := []string{"move", "--topic", topic, "--partition", "2", "--to", others[from], "--reason", "a try"}
	var moved adminv1.MoveLaneResponse
	for _, requested := range w.Ingests { // one of them does not carry it
		w.acts(&moved, requested, append(move, "--validate")...)
		if moved.GetResult().GetChanged() || moved.GetFrom() != from || moved.GetTo() != others[from] {
			t.Errorf("validated at %s: %v", requested.Name, &moved)
		}
	}
	for i, requested := range w.Ingests {
		w.acts(&moved, requested, append(move, "--request-id", "m")...)
		if i == 0 && !moved.GetResult().GetChanged() || i == 1 && !moved.GetResult().GetRepeated() {
			t.Errorf("moved by %s: %v", requested.Name, &moved)
		}
	}
	w.until("the lane has moved", func() error {
		if now := where(2); now != others[from] {
			return fmt.Errorf("it is at %s", now)
		}
		return nil
	})
	if _, out := w.at(w.Ingests[0], "plan"); !strings.Contains(out, "asked for by") {
		t.Errorf("the plan does not show who asked for the move: %s", out)
	}
	for want, args := range map[string][]string{
		`the nearest is "writer-2"`:       {"move", "--topic", topic, "--partition", "1", "--to", "writer-22"},
		`the nearest is "` + topic + `"`:  {"move", "--topic", topic + "s", "--partition", "1", "--to", "writer-2"},
		"has no partition 9; it has 0 to": {"move", "--topic", topic, "--partition", "9", "--to", "writer-2"},
		`the nearest is "writer"`:         {"drain", "--writer", "writr"},
		"is not within 1s and 24h":        {"drain", "--writer", "writer", "--for", "25h"},
	} {
		if code, out := w.at(w.Ingests[1], args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("ingest %v: status %d, %s; want %q", args, code, out, want)
		}
	}

	var drained adminv1.DrainWriterResponse
	w.acts(&drained, w.Ingests[0], "drain", "--writer", "writer-2", "--for", "1h")
	if !drained.GetResult().GetChanged() {
		t.Errorf("drained: %v", &drained)
	}
	w.produce(topic, 400, events.Config{})
	w.until("all lanes are at the other writer", func() error {
		for p := range int32(4) {
			if now := where(p); now != "writer" {
				return fmt.Errorf("partition %d is at %s", p, now)
			}
		}
		return nil
	})
	for want, args := range map[string][]string{
		"it is leaving (an operator drains it)": {"move", "--topic", topic, "--partition", "1", "--to", "writer-2"},
		"no other writer than writer takes":     {"drain", "--writer", "writer"},
	} {
		if code, out := w.at(w.Ingests[1], args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("ingest %v: status %d, %s; want %q", args, code, out, want)
		}
	}
	w.acts(&drained, w.Ingests[1], "drain", "--writer", "writer-2", "--end")
	var spread adminv1.SpreadResponse
	w.acts(&spread, w.Ingests[1], "spread")
	if !spread.GetResult().GetChanged() || len(spread.GetPlans()) != 2 {
		t.Errorf("spread: %v", &spread)
	}
	w.until("lanes come back", func() error {
		for p := range int32(4) {
			if where(p) == "writer-2" {
				return nil
			}
		}
		return fmt.Errorf("all are at the first writer")
	})
	w.verified()
	if code, out := w.at(w.Writers[0], "drain", "--writer", "writer"); code != 1 ||
		!strings.Contains(out, "ask an ingest") {
		t.Errorf("a writer that is asked to drain itself: status %d, %s", code, out)
	}
}

// The lines of docs/steering.md for grpcurl are copied and run as they are, in order, but for the addresses.
func TestSteeringByHand(t *testing.T) {
	t.Parallel()
	w := watched(t)
	// A record that can be skipped.
	w.acts(&adminv1.PauseResponse{}, w.Ingests[0], "pause", "--topic", stack.StockTopic, "--for", "1h")
	w.produce(stack.StockTopic, 100, events.Config{})
	w.until("the end of the paused partition is known", func() error { // it is asked for every few seconds
		var lag int64
		for _, s := range w.Ingests {
			lanes, err := s.Lanes(w.ctx)
			if err != nil {
				return err
			}
			for _, l := range lanes {
				if l.Topic == stack.StockTopic && l.Partition == 0 {
					lag = max(lag, l.Lag)
				}
			}
		}
		if lag < 4 {
			return fmt.Errorf("its lag is %d", lag)
		}
		return nil
	})
	w.byHand("../docs/steering.md", 15, func(line, out string) {
		if !strings.Contains(out, `"responses"`) && !strings.Contains(out, `"requestId"`) {
			t.Errorf("%s\n%s", line, out)
		}
	})
}
