package lane

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// What a peer sends out of bounds is its fault, and is said to be.
func TestOutOfBounds(t *testing.T) {
	leftOut := func(from, n int64) *lanev1.LaneRequest {
		m := new(lanev1.LeftOut)
		for i := range n {
			m.Offsets = append(m.Offsets, from+2*i)
		}
		return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: m}}
	}
	for name, test := range map[string]struct {
		say  []any
		want string
	}{
		"more rows than a count may say": {
			[]any{&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: &lanev1.Append{
				Sequence: 1, EndPosition: 1, Blocks: []*lanev1.Block{{Rows: math.MaxUint32}},
			}}}},
			"more than 1048576",
		},
		"millions of empty rows": {
			[]any{&lanewire.Append{
				Sequence: 1, EndPosition: 1 << 40,
				Blocks: []lanewire.Block{{Rows: 1, Bytes: mem.BufferSlice{mem.SliceBuffer(
					strings.Repeat("\x0a\x00", 4_500_000))}}},
			}},
			"more than 1048576",
		},
		"a control message of megabytes": {
			[]any{&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{Topic: strings.Repeat("t",
				lanewire.MaxControl)}}}}, "at most 1048576 when it is no append",
		},
		"too many offsets at once": {[]any{leftOut(0, maxLeftOut+1)}, "has 10001 offsets, at most 10000"},
		"too many offsets that wait": {[]any{
			leftOut(0, maxLeftOut), leftOut(1<<30, maxLeftOut), "nine more", leftOut(1<<31, 1),
		}, "100000 offsets wait"},
		"as many offsets as may wait":  {[]any{leftOut(0, maxLeftOut), "nine more"}, ""},
		"a block larger than a window": {[]any{oneRow(1, 2<<20)}, "exceeds the window"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := startWriter(t, &Service{
					Sink: &odd{}, Budget: NewBudget(32 << 20),
					Limits: Limits{WindowBytes: 16 << 20},
				})
				if strings.Contains(name, "window") {
					w.Limits.WindowBytes = 1 << 20
				}
				defer w.stop()
				c, _ := openLane(t, w, exactlyOnce)
				for _, m := range test.say {
					if _, many := m.(string); many {
						for i := range int64(9) {
							_ = c.SendMsg(leftOut((i+2)<<20, maxLeftOut)) // Ended calls say why below.
						}
						continue
					}
					_ = c.SendMsg(m)
				}
				time.Sleep(time.Second)
				if test.want == "" {
					if used := w.Budget.Used(); used != 10*maxLeftOut*offsetBytes {
						t.Errorf("%d bytes are charged", used)
					}
					return
				}
				var err error
				for err == nil {
					_, err = c.Recv()
				}
				if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				time.Sleep(time.Second)
				if used := w.Budget.Used(); used != 0 {
					t.Errorf("%d bytes are held by no lane", used)
				}
			})
		})
	}
}

// A table of as many columns as BigQuery takes fits into the first message of a lane twice over, with long names.
func TestTheLargestTableFits(t *testing.T) {
	d := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	for i := range maxColumns {
		d.Field = append(d.Field, &descriptorpb.FieldDescriptorProto{
			Name:   proto.String(fmt.Sprintf("a_column_with_a_long_name_%05d", i)),
			Number: proto.Int32(int32(i + 1)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
		})
	}
	open := &lanev1.Open{Group: "g", Topic: "t", Routes: []*lanev1.Route{
		{Table: "t", Row: &lanev1.Route_Descriptor_{Descriptor_: d}},
	}}
	if err := checkOpen(open); err != nil {
		t.Error(err)
	}
	if size := proto.Size(open); 2*size > lanewire.MaxControl {
		t.Errorf("%d bytes, of %d", size, lanewire.MaxControl)
	}
}

// Routes are checked in time linear in their number, which is bounded.
func TestRoutesAreBounded(t *testing.T) {
	open := &lanev1.Open{Group: "g", Topic: "t"}
	for i := range lanewire.MaxBlocks {
		open.Routes = append(open.Routes, &lanev1.Route{
			Table: strings.Repeat("x", i+1), Row: &lanev1.Route_Message{Message: "m"},
		})
	}
	if err := checkOpen(open); err != nil {
		t.Error(err)
	}
	last := open.GetRoutes()[lanewire.MaxBlocks-1]
	twice := proto.CloneOf(open)
	twice.Routes[lanewire.MaxBlocks-1].Table = "x"
	if err := checkOpen(twice); err == nil ||
		!strings.Contains(err.Error(), `routes[1023].table "x" is that of routes[0]`) {
		t.Errorf("got %v", err)
	}
	open.Routes = append(open.Routes, last)
	if err := checkOpen(open); err == nil || !strings.Contains(err.Error(), "has 1025 entries, at most 1024") {
		t.Errorf("got %v", err)
	}
}

// Ingest learns which dataset a writer writes to, and that no window is larger than the budget.
func TestOpenedSaysWhereRowsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}, Name: "w1", Project: "p", Dataset: "d", Budget: NewBudget(1 << 20)})
		defer w.stop()
		_, opened := openLane(t, w, exactlyOnce)
		if opened.GetProject() != "p" || opened.GetDataset() != "d" || opened.GetLimits().GetWindowBytes() != 1<<20 ||
			opened.GetLimits().GetBlockBytes() != 1<<20 {
			t.Errorf("opened %v", opened)
		}
	})
}

// A place whose name alone is more than a checkpoint may hold is refused at once.
func TestALongTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}})
		defer w.stop()
		c, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
			Group: "g", Topic: strings.Repeat("t", 5000),
			Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "m"}}},
		}}})
		if _, err := c.Recv(); status.Code(err) != codes.FailedPrecondition ||
			!strings.Contains(err.Error(), "Kafka's offset metadata") {
			t.Errorf("got %v", err)
		}
	})
}

// An opening prepares the tables that the checkpoint names, and no others: there may be a thousand.
func TestOpeningPreparesWhatItNeeds(t *testing.T) {
	token := encodeFor(t)
	synctest.Test(t, func(t *testing.T) {
		prepared := 0
		sink := &odd{table: func() { prepared++ }}
		w := startWriter(t, &Service{Sink: sink})
		defer w.stop()
		c, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open := &lanev1.Open{Group: "g", Topic: "t", Checkpoint: token}
		for _, table := range []string{"a", "b", "t", "c"} {
			open.Routes = append(open.Routes, &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "m"}})
		}
		say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}})
		if m, err := c.Recv(); m.GetOpened() == nil {
			t.Fatal(err)
		}
		if prepared != 1 {
			t.Errorf("%d tables were prepared", prepared)
		}
	})
}
