package hostile

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/e2e/stack"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// attack is what a client does until its context ends. Errors are what the writer defends itself with.
type attack struct {
	name string
	run  func(ctx context.Context, address string)
}

var attacks = []attack{
	{"10,000 silent calls on one connection", silentCalls},
	{"10,000 silent calls on ten connections", silentCallsOfTen},
	{"300 connections that say nothing", silentConnections},
	{"100 connections, a byte of the preface a second", slowPreface},
	{"30 first messages of 32 MiB that never end", endlessMessages},
	{"1,000 first messages of 2 MiB of which half comes", halfMessages},
	{"calls that are taken back at once", rapidResets},
	{"1 MiB of metadata", largeMetadata},
	{"descriptors that unfold to 2^20 columns", unfoldingDescriptors},
	{"Open with 50,000 routes", manyRoutes},
	{"left-out offsets by the million", manyLeftOut},
	{"appends as far as the window goes, without Durable", windowsUnread},
	{"forged checkpoints", forgedCheckpoints},
	{"Diff of 1,000 routes, five at a time", largeDiffs},
	{"garbage, HTTP/1 and TLS to a port without", garbage},
	{"lying rows, sequences and barriers", lies},
	{"3,000 connections that greet and say nothing", greetings},
}

// each runs n clients at once and waits for them.
func each(n int, f func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { f(i) })
	}
	group.Wait()
}

func dial(address string) *grpc.ClientConn {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		panic(err) // the address is ours
	}
	return conn
}

// call makes a call and sends messages; it returns how the call ended, or nil when ctx did.
func call(ctx context.Context, c *grpc.ClientConn, messages ...*lanev1.LaneRequest) {
	stream, err := lanev1.NewLaneServiceClient(c).Lane(ctx)
	if err != nil {
		return
	}
	for _, m := range messages {
		if stream.Send(m) != nil {
			break
		}
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return
		}
	}
}

// again repeats until ctx ends, not more than fifty times a second.
func again(ctx context.Context, f func()) { stack.Every(ctx, 20*time.Millisecond, f) }

func opening(topic string, partition int, routes ...*lanev1.Route) *lanev1.LaneRequest {
	if routes == nil {
		routes = []*lanev1.Route{{
			Table: "hostile", Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
		}}
	}
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
		Group: "hostile", Topic: topic, Partition: int32(partition), Routes: routes,
	}}}
}

// silent makes so many calls on one connection that send nothing.
func silent(ctx context.Context, address string, calls int) {
	c := dial(address)
	defer c.Close()
	each(calls, func(int) { again(ctx, func() { call(ctx, c) }) })
}

func silentCalls(ctx context.Context, address string) { silent(ctx, address, 10_000) }

func silentCallsOfTen(ctx context.Context, address string) {
	each(10, func(int) { silent(ctx, address, 1000) })
}

// greetings are connections as gRPC makes them, without a call. Those that the writer does not accept wait for it.
func greetings(ctx context.Context, address string) {
	each(3000, func(int) {
		again(ctx, func() {
			if r, err := dialRaw(ctx, address); err == nil {
				r.over()
			}
		})
	})
}

func silentConnections(ctx context.Context, address string) {
	each(300, func(int) {
		if c, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			<-ctx.Done()
			_ = c.Close()
		}
	})
}

func slowPreface(ctx context.Context, address string) {
	each(100, func(int) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return
		}
		defer c.Close()
		for _, b := range []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	})
}

// messages sends so much of messages of a size, on one connection, and begins others when the writer has ended all.
func messages(ctx context.Context, address string, calls, size, sent int) {
	piece := make([]byte, 16<<10)
	again(ctx, func() {
		r, err := dialRaw(ctx, address)
		if err != nil {
			return
		}
		defer r.close()
		each(calls, func(int) {
			id, err := r.open()
			if err != nil || !r.begin(id, size) {
				return
			}
			for n := 0; n < sent && r.data(id, piece); n += len(piece) {
			}
			r.ended(id)
		})
	})
}

func endlessMessages(ctx context.Context, address string) {
	each(3, func(int) { messages(ctx, address, 10, 32<<20, 31<<20) })
}

func halfMessages(ctx context.Context, address string) {
	each(4, func(int) { messages(ctx, address, 250, 2<<20, 1<<20) })
}

func rapidResets(ctx context.Context, address string) {
	again(ctx, func() {
		r, err := dialRaw(ctx, address)
		if err != nil {
			return
		}
		defer r.close()
		for range 1000 {
			id, err := r.open()
			if err != nil || r.reset(id) != nil || ctx.Err() != nil {
				return
			}
		}
	})
}

// largeMetadata sends what gRPC's own client would not, for it keeps to what the writer says it takes.
func largeMetadata(ctx context.Context, address string) {
	each(4, func(int) {
		again(ctx, func() {
			r, err := dialRaw(ctx, address, [2]string{"x", strings.Repeat("x", 1<<20)})
			if err != nil {
				return
			}
			defer r.close()
			if id, err := r.open(); err == nil {
				r.ended(id)
			}
		})
	})
}

// unfolding is a message whose types name each other twice, level by level.
func unfolding(levels int) *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: proto.String("R")}
	field := func(name string, number int32, level int) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(number),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if level == levels {
			f.Type = descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum()
			return f
		}
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		f.TypeName = proto.String(fmt.Sprintf("R.T%d", level))
		return f
	}
	for level := range levels {
		d.NestedType = append(d.NestedType, &descriptorpb.DescriptorProto{
			Name:  proto.String(fmt.Sprintf("T%d", level)),
			Field: []*descriptorpb.FieldDescriptorProto{field("a", 1, level+1), field("b", 2, level+1)},
		})
	}
	d.Field = []*descriptorpb.FieldDescriptorProto{field("a", 1, 0), field("b", 2, 0)}
	return d
}

func unfoldingDescriptors(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	route := &lanev1.Route{Table: "hostile", Row: &lanev1.Route_Descriptor_{Descriptor_: unfolding(20)}}
	each(8, func(i int) { again(ctx, func() { call(ctx, c, opening("unfold", i, route)) }) })
}

func routes(n int) (all []*lanev1.Route) {
	for i := range n {
		all = append(all, &lanev1.Route{
			Table: fmt.Sprintf("t%d", i), Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"},
		})
	}
	return all
}

func manyRoutes(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	open := opening("routes", 0, routes(50_000)...)
	each(2, func(int) { again(ctx, func() { call(ctx, c, open) }) })
}

func manyLeftOut(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	offsets := make([]int64, 900_000)
	for i := range offsets {
		offsets[i] = int64(2 * i)
	}
	left := &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: &lanev1.LeftOut{Offsets: offsets}}}
	each(4, func(i int) { again(ctx, func() { call(ctx, c, opening("left", i), left) }) })
}

func appending(sequence uint64, rows uint32, size int) *lanev1.LaneRequest {
	row := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), make([]byte, size))
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: &lanev1.Append{
		Sequence: sequence, EndPosition: int64(sequence),
		Blocks: []*lanev1.Block{{Rows: rows, Encoding: &lanev1.Block_Encoded{Encoded: row}}},
	}}}
}

// windowsUnread fills windows and never reads what the writer says.
func windowsUnread(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	each(8, func(i int) {
		stream, err := lanev1.NewLaneServiceClient(c).Lane(ctx)
		if err != nil || stream.Send(opening("unread", i)) != nil {
			return
		}
		for n := uint64(1); n <= 64; n++ {
			if stream.Send(appending(n, 1, 4<<20)) != nil {
				break
			}
		}
		<-ctx.Done()
	})
}

func forgedCheckpoints(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	each(8, func(i int) {
		again(ctx, func() {
			open := opening("forged", i)
			open.GetOpen().Checkpoint = "AQAAAAAA" + strings.Repeat("A", i*100)
			call(ctx, c, open)
		})
	})
}

func largeDiffs(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	request := &lanev1.DiffRequest{Routes: routes(1000)}
	each(5, func(int) {
		again(ctx, func() {
			// What comes of it does not matter.
			_, _ = lanev1.NewTableServiceClient(c).Diff(ctx, request)
		})
	})
}

func garbage(ctx context.Context, address string) {
	texts := []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		strings.Repeat("\xff", 1<<16), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\xff\xff", 1<<10),
	}
	each(8, func(i int) {
		again(ctx, func() {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(texts[i%len(texts)])) // the writer may have ended it already
			_ = c.Close()
		})
	})
}

func lies(ctx context.Context, address string) {
	c := dial(address)
	defer c.Close()
	durable := &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{Barrier: 99}}}
	all := []*lanev1.LaneRequest{appending(7, 1, 10), appending(1, 1<<32-1, 10), durable, opening("lies", 0)}
	each(8, func(i int) { again(ctx, func() { call(ctx, c, opening("lies", i), all[i%len(all)]) }) })
}
