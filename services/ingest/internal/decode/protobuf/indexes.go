package protobuf

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// maxIndexes bounds the levels of a message within messages.
const maxIndexes = 32

// ReadIndexes reads the message indexes that Confluent's serializer for protobuf writes before the message: how many,
// and each, as zigzag varints; a single zero stands for the file's first message. They are appended to dst: where the
// message is in its file, outermost first. rest is the message.
func ReadIndexes(dst []int, payload []byte) (indexes []int, rest []byte, err error) {
	count, p := decode.Varint(payload, 0)
	n := protowire.DecodeZigZag(count)
	switch {
	case p < 0:
		return dst, nil, errors.New("the payload ends within the message indexes")
	case n == 0:
		return append(dst, 0), payload[p:], nil
	case n < 0 || n > maxIndexes:
		return dst, nil, fmt.Errorf("there are %d message indexes; at most %d can be", n, maxIndexes)
	}
	indexes = dst
	for range n {
		var v uint64
		if v, p = decode.Varint(payload, p); p < 0 {
			return dst, nil, errors.New("the payload ends within the message indexes")
		}
		index := protowire.DecodeZigZag(v)
		if index < 0 || index > 1<<20 {
			return dst, nil, fmt.Errorf("%d is no message index", index)
		}
		indexes = append(indexes, int(index))
	}
	return indexes, payload[p:], nil
}

// indexesOf is where a message is in its file, outermost first.
func indexesOf(m protoreflect.MessageDescriptor) []int {
	var indexes []int
	for d := protoreflect.Descriptor(m); d != nil; d = d.Parent() {
		if _, ok := d.(protoreflect.MessageDescriptor); !ok {
			break
		}
		indexes = append(indexes, d.Index())
	}
	slices.Reverse(indexes)
	return indexes
}

// at is the message at message indexes, nil if the file has none.
func at(f protoreflect.FileDescriptor, indexes []int) protoreflect.MessageDescriptor {
	in := f.Messages()
	var m protoreflect.MessageDescriptor
	for _, index := range indexes {
		if index >= in.Len() {
			return nil
		}
		m = in.Get(index)
		in = m.Messages()
	}
	return m
}

// whole is the message at message indexes, or at those read from the other end where they lead nowhere: serializers for
// .NET wrote the innermost first for a while (confluent-kafka-dotnet, 2.10.1). It reverses them then. Nil if neither is
// there.
func whole(f protoreflect.FileDescriptor, indexes []int) protoreflect.MessageDescriptor {
	m := at(f, indexes)
	if m == nil && len(indexes) > 1 {
		slices.Reverse(indexes)
		if m = at(f, indexes); m == nil {
			slices.Reverse(indexes)
		}
	}
	return m
}

// Types says of which message of a file a payload behind message indexes is, by its full name. It allocates nothing.
func Types(f protoreflect.FileDescriptor) func(payload []byte) (name []byte, null bool) {
	names := map[protoreflect.FullName][]byte{}
	var add func(in protoreflect.MessageDescriptors)
	add = func(in protoreflect.MessageDescriptors) {
		for i := range in.Len() {
			names[in.Get(i).FullName()] = []byte(in.Get(i).FullName())
			add(in.Get(i).Messages())
		}
	}
	add(f.Messages())
	return func(payload []byte) ([]byte, bool) {
		var room [maxIndexes]int
		indexes, _, err := ReadIndexes(room[:0], payload)
		if err != nil {
			return nil, false
		}
		m := whole(f, indexes)
		if m == nil {
			return nil, false
		}
		return names[m.FullName()], false
	}
}

// Written returns a plan for payloads that another version of the schema wrote, with message indexes before the
// message: the columns and the fields are those of p. writer is what ParseSource returns. The error is a
// *decode.SchemaError: the writer's file does not have p's message, or has it with a field that p would read as
// something else.
func (p *Plan) Written(writer protoreflect.FileDescriptor) (decode.Plan, error) {
	m := messageOf(writer, string(p.message.FullName()))
	if m == nil {
		return nil, decode.FaultAt(p.options.Payload,
			fmt.Sprintf("the writer's schema has no message %s", p.message.FullName()))
	}
	if err := fits(p.record, m, decode.PathOf(p.options.Payload)); err != nil {
		return nil, err
	}
	theirs := *p
	theirs.message, theirs.writer, theirs.indexes = m, writer, indexesOf(m)
	return &theirs, nil
}

// unwrap is the message behind message indexes, which have to be those of the plan.
func (d *Decoder) unwrap(payload []byte) (message []byte, err error) {
	o := &d.plan.options
	indexes, rest, err := ReadIndexes(d.indexes[:0], payload)
	if err != nil {
		return nil, o.Refuse(0, err.Error())
	}
	d.indexes = indexes
	if !slices.Equal(indexes, d.plan.indexes) {
		m := whole(d.plan.writer, indexes)
		if m == nil {
			return nil, o.Refuse(0, fmt.Sprintf("the writer's schema has no message at the indexes %v", indexes))
		}
		if !slices.Equal(indexes, d.plan.indexes) {
			return nil, o.Refuse(0, fmt.Sprintf("the record is a %s, the contract reads a %s", m.FullName(),
				d.plan.message.FullName()))
		}
	}
	return rest, nil
}
