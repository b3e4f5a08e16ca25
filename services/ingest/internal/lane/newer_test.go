package lane

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// amended is a call in which what the writer says is changed on its way.
type amended struct {
	grpc.ServerStream
	alter func(*lanev1.LaneResponse)
}

func (a *amended) SendMsg(m any) error {
	a.alter(m.(*lanev1.LaneResponse))
	return a.ServerStream.SendMsg(m)
}

// intercept has w.alter change what writers say.
func (w *world) intercept(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if w.alter == nil {
		return handler(srv, s)
	}
	return handler(srv, &amended{s, w.alter})
}

// toCome are fields of a version to come, each kind of them, in what is sent.
func toCome() (fields protoreflect.RawFields) {
	fields = protowire.AppendVarint(protowire.AppendTag(fields, 500, protowire.VarintType), 7)
	fields = protowire.AppendBytes(protowire.AppendTag(fields, 501, protowire.BytesType), []byte("to come"))
	return protowire.AppendFixed64(protowire.AppendTag(fields, 502, protowire.Fixed64Type), 7)
}

// A writer of a newer version, which says more in each message, carries the lane as one of this version does: writers
// are upgraded while ingests run, and go back.
func TestAWriterOfANewerVersionCarriesTheLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var messages atomic.Int64
		w.alter = func(m *lanev1.LaneResponse) {
			messages.Add(1)
			m.ProtoReflect().SetUnknown(toCome())
			m.ProtoReflect().Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				v.Message().SetUnknown(toCome())
				return true
			})
		}
		p := w.startPlaced(&testPlacer{}, small)
		w.produceRows("a", 20)
		w.log.produce("b", "refuse")
		w.produceRows("b", 5)
		w.settle()
		if s := p.lane.Status(); s.State != Open || s.LastError != "" || s.Writer != "w1" {
			t.Errorf("%+v", s)
		}
		p.end()
		w.verify()
		checkBudget(t, p)
		if messages.Load() < 6 {
			t.Errorf("%d messages", messages.Load())
		}
	})
}

// A message of a kind that this version does not know ends the call, whatever it would mean: the lane says so, opens
// again from what is committed, and nothing is lost or repeated.
func TestAMessageOfANewerVersionEndsTheCall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var settled atomic.Int64
		w.alter = func(m *lanev1.LaneResponse) {
			if m.GetSettled() != nil && settled.Add(1) == 3 {
				m.Message = nil
				m.ProtoReflect().SetUnknown(toCome())
			}
		}
		placer := &testPlacer{}
		w.startPlaced(placer, small)
		stop := w.load()
		time.Sleep(10 * time.Second)
		stop()
		w.settle()
		w.verify()
		if _, before := placer.last(); before != 1 {
			t.Fatalf("%d calls before the last one, want 1", before)
		}
		const want = "a message of a kind that this version does not know"
		if ended, err := placer.places[0].outcome(); !ended || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the first call: ended %v, %v", ended, err)
		}
	})
}
