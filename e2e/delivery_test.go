package e2e

import (
	"testing"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// A contract changes from exactly once to at least once and back, each time after a crash with rows in flight. What was
// exactly once stays so up to the row where that ended; nothing is lost, and only what was in flight at least once
// comes twice.
func TestDeliveryChanges(t *testing.T) {
	w, conns := writersAlone(t, 1)
	s, conn := w.Writers[0], conns[0]
	const once, repeats = lanev1.Delivery_DELIVERY_EXACTLY_ONCE, lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
	h := &hand{topic: "changes", encode: encodeGrown("changes", 0, 0)}
	var bounds []int64 // where each part ended, as committed
	for i, part := range []struct {
		delivery lanev1.Delivery
		cut      int
	}{{once, 5}, {repeats, 5}, {once, 5}, {once, -1}, {repeats, -1}, {once, -1}} {
		h.route = &lanev1.Route{
			Table: "changes", Row: &lanev1.Route_Descriptor_{Descriptor_: grownRow(0)}, Delivery: part.delivery,
		}
		before := h.position
		if err := h.carry(w.ctx, conn, before+400, part.cut); err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		if h.position == before {
			t.Fatalf("part %d settled nothing", i)
		}
		bounds = append(bounds, h.position)
	}
	times := w.offsets("changes")
	end := bounds[len(bounds)-1]
	for offset := range end {
		n := times[[2]int64{0, offset}]
		// Only the second part ended in the middle while it was at least once: its last window may be there again.
		again := offset >= bounds[1] && offset < bounds[1]+handBatch*handWindow
		if n < 1 || n > 2 || n == 2 && !again {
			t.Fatalf("offset %d is in the table %d times (parts end at %v)", offset, n, bounds)
		}
	}
	if int64(len(times)) != end {
		t.Errorf("%d offsets in the table, want %d", len(times), end)
	}
	// One for each part that is exactly once: those before were fenced after the crashes, or given up for at least
	// once.
	if n := w.metric(s, "waybill_writer_streams_created_total"); n != 4 {
		t.Errorf("%v write streams were created, want 4", n)
	}
	if n := w.metric(s, "waybill_writer_rows_refused_total"); n != 0 {
		t.Errorf("%v rows were refused", n)
	}
}
