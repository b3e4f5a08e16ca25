package lane

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// With keys, nothing in a checkpoint is believed that no key of ours has sealed for this lane: no stream is finalized
// or adopted by it.
func TestForgedCheckpointsAreRefused(t *testing.T) {
	key, err := checkpoint.NewKeys([][]byte{bytes.Repeat([]byte("k"), checkpoint.MinKeyBytes)})
	if err != nil {
		t.Fatal(err)
	}
	keys := new(checkpoint.Ring)
	keys.Set(key)
	lenient := &checkpoint.Ring{AcceptUnsigned: true}
	lenient.Set(key)
	open := &lanev1.Open{
		Cluster: "c", Group: "g", Topic: "orders", Position: 7,
		Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"}}},
	}
	token := func(table, stream string) []byte {
		t.Helper()
		token, err := new(checkpoint.Encoder).Append(nil, &checkpoint.Checkpoint{
			Cluster: "c", Topic: "orders", Position: 7,
			Tables: []checkpoint.Table{{Name: table, Stream: stream, Rows: 3}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const table = "projects/p/datasets/d/tables/t"
	good := token(table, table+"/streams/s1")
	theirs := ownerOf(open)
	theirs.Group = "another"
	const elsewhere = "projects/p/datasets/d/tables/x/streams/s1"
	for name, tt := range map[string]struct {
		keys  *checkpoint.Ring
		token string
		says  string // empty: it is believed
	}{
		"sealed": {keys, string(keys.Seal(good, ownerOf(open))), ""},
		"forged": {
			keys, string(good) + ".AAAAAAAAAAAAAAAAAAAAAA",
			"the MAC of open.checkpoint is by none",
		},
		"of another lane":      {keys, string(keys.Seal(good, theirs)), "the MAC of open.checkpoint is by none"},
		"without a MAC":        {keys, string(good), "checkpoint.accept_unsigned"},
		"of before, accepted":  {lenient, string(good), ""},
		"without keys":         {nil, string(good), ""},
		"stream of elsewhere":  {nil, string(token(table, elsewhere)), "is of another table"},
		"sealed, but no token": {keys, string(keys.Seal([]byte("AAAA"), ownerOf(open))), "open.checkpoint"},
	} {
		var finalized atomic.Int64
		b := newBigQuery(t)
		b.streams[table+"/streams/s1"] = &stream{
			name: table + "/streams/s1", table: table, rows: []string{"row 1", "row 2", "row 3"},
		}
		b.fault = func(op, _ string) error {
			if op == "finalize" {
				finalized.Add(1)
			}
			return nil
		}
		metrics := NewMetrics(prometheus.NewRegistry())
		w := startWriter(t, &Service{Sink: b, Keys: tt.keys, Metrics: metrics})
		call, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open.Checkpoint = tt.token
		if err := call.Send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}}); err != nil {
			t.Fatal(err)
		}
		r, err := call.Recv()
		switch {
		case tt.says == "" && (err != nil || finalized.Load() != 1):
			t.Errorf("%s: %v, finalized %d", name, err, finalized.Load())
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || finalized.Load() > 0):
			t.Errorf("%s: %v, finalized %d", name, err, finalized.Load())
		case tt.says == "":
			// What the lane commits is sealed by whoever has keys.
			if _, _, err := keys.Open(r.GetOpened().GetCheckpoint(), ownerOf(open)); (err == nil) != (tt.keys != nil) {
				t.Errorf("%s: it commits %s: %v", name, r.GetOpened().GetCheckpoint(), err)
			}
		}
		accepted := testutil.ToFloat64(metrics.foreign.WithLabelValues("accepted"))
		if (accepted == 1) != (tt.keys == lenient) {
			t.Errorf("%s: %v accepted", name, accepted)
		}
		w.stop()
	}
}
