package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/sandbox/events"
)

// Types of the records, as the header says.
const (
	orderType = "shop.orders.Placed"
	arrived   = "shop.movements.Arrived"
	departed  = "shop.movements.Departed"
	counted   = "shop.movements.Counted" // that no contract takes
)

// One of so many records is bad.
const (
	truncatedEvery = 211
	unknownEvery   = 307
)

// start is the first record's time in nanoseconds; each is a millisecond and a bit after the one before.
const start, interval = 1793491200e9, 1000003

// orderOf makes the orders of a topic: JSON that holds its index as its number.
func orderOf(topic string) func(seed, index uint64, grown bool, dst []byte) events.Event {
	return func(seed, index uint64, grown bool, dst []byte) events.Event {
		r := rand.New(rand.NewPCG(seed, index))
		e := events.Event{Topic: topic, Nanos: start + int64(index)*interval}
		kind := orderType
		b := fmt.Appendf(dst, `{"number":%d,"timestamp":%d`, index, e.Nanos)
		if r.IntN(4) > 0 {
			b = fmt.Appendf(b, `,"customer":"Zoë %d"`, r.IntN(1000))
		}
		b = fmt.Appendf(b, `,"total":%d.%d,"lines":[`, r.IntN(1000), r.IntN(100))
		for i := range r.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"sku":"s-%d","pieces":%d}`, r.IntN(1e6), r.IntN(10))
		}
		b = append(b, ']')
		if grown {
			b = fmt.Appendf(b, `,%q:"%s"`, column, []string{"web", "shop", "phone"}[r.IntN(3)])
		}
		b = append(b, '}')
		switch {
		case r.IntN(truncatedEvery) == 0:
			e.Kind = events.Truncated
			b = b[:len(dst)+1+r.IntN(len(b)-len(dst)-1)]
		case r.IntN(unknownEvery) == 0:
			e.Kind = events.UnknownType
			kind = "shop.orders.PlacedV2"
		}
		return keyed(e, kind, b, len(dst), r)
	}
}

// movement makes a movement of stock: protobuf, of three types for three tables.
func movement(seed, index uint64, _ bool, dst []byte) events.Event {
	r := rand.New(rand.NewPCG(seed, index))
	e := events.Event{Topic: movementsTopic, Nanos: start + int64(index)*interval}
	b := protowire.AppendVarint(protowire.AppendTag(dst, 1, protowire.VarintType), index)
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(e.Nanos))
	b = protowire.AppendString(protowire.AppendTag(b, 3, protowire.BytesType), "s-"+strconv.Itoa(r.IntN(1e6)))
	if r.IntN(3) > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType),
			protowire.EncodeZigZag(int64(r.IntN(200)-100)))
	}
	kind := []string{arrived, arrived, departed, departed, departed, counted}[r.IntN(6)]
	if kind != counted && r.IntN(truncatedEvery) == 0 {
		e.Kind = events.Truncated
		b = append(protowire.AppendTag(b, 3, protowire.BytesType), 100) // bytes that are not there
	}
	return keyed(e, kind, b, len(dst), r)
}

// keyed completes an event whose value begins at from, with a key that spreads the records over the partitions.
func keyed(e events.Event, kind string, b []byte, from int, r *rand.Rand) events.Event {
	end := len(b)
	b = strconv.AppendInt(b, int64(r.IntN(1000)), 10)
	e.Value, e.Key = b[from:end:end], b[end:]
	e.Headers = [2]events.Header{{Key: events.TypeHeader, Value: kind}, {Key: "producer", Value: "shop"}}
	return e
}

// decodeOrder is what an order's row must hold.
func decodeOrder(_ string, value []byte) (any, error) {
	var o struct {
		Number, Timestamp int64
		Customer          *string
		Total             float64
		Lines             []struct {
			Sku    string
			Pieces int64
		}
		Channel *string
	}
	if err := json.Unmarshal(value, &o); err != nil {
		return nil, err
	}
	lines := []any{}
	for _, l := range o.Lines {
		lines = append(lines, map[string]any{"sku": l.Sku, "pieces": l.Pieces})
	}
	row := map[string]any{"number": o.Number, "timestamp": o.Timestamp, "total": o.Total, "lines": lines}
	if o.Customer != nil {
		row["customer"] = *o.Customer
	}
	if o.Channel != nil {
		row[column] = *o.Channel
	}
	return row, nil
}

// movementFile is the schema of the movements.
var movementFile = func() *descriptorpb.FileDescriptorProto {
	field := func(number int32, name string,
		kind descriptorpb.FieldDescriptorProto_Type,
	) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop/v1/movement.proto"), Package: proto.String("shop.v1"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Movement"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field(1, "number", descriptorpb.FieldDescriptorProto_TYPE_INT64),
				field(2, "timestamp", descriptorpb.FieldDescriptorProto_TYPE_INT64),
				field(3, "sku", descriptorpb.FieldDescriptorProto_TYPE_STRING),
				field(4, "pieces", descriptorpb.FieldDescriptorProto_TYPE_SINT32),
			},
		}},
	}
}()

var errMovement = errors.New("not a movement")

// decodeMovement is what a movement's row must hold: the bytes themselves in the table of the unknown.
func decodeMovement(itemType string, value []byte) (any, error) {
	if itemType != arrived && itemType != departed {
		return value, nil
	}
	row := map[string]any{}
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 {
			return nil, errMovement
		}
		value = value[n:]
		var v uint64
		var text []byte
		if kind == protowire.BytesType {
			text, n = protowire.ConsumeBytes(value)
		} else {
			v, n = protowire.ConsumeVarint(value)
		}
		if n < 0 {
			return nil, errMovement
		}
		value = value[n:]
		switch number {
		case 1:
			row["number"] = int64(v)
		case 2:
			row["timestamp"] = int64(v)
		case 3:
			row["sku"] = string(text)
		case 4:
			row["pieces"] = protowire.DecodeZigZag(v)
		default:
			return nil, errMovement
		}
	}
	return row, nil
}
