package protobuf

import (
	"fmt"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// absent is what the row holds for a singular field that the payload leaves out, tag included; nil for NULL. A field
// without presence has its default, so has one whose schema states a default, and so have both fields of a map's entry.
// The reason is why a stated default is no value of the column of an override.
func absent(fd protoreflect.FieldDescriptor, f *field) (_ []byte, reason string) {
	entry := fd.ContainingMessage().IsMapEntry()
	switch {
	case fd.HasPresence() && !entry && !fd.HasDefault():
		return nil, ""
	case f.isWell():
		out, _ := f.filled()
		return out, ""
	case f.op == opColumnText, f.op == opColumnNumber:
		out, reason := absentColumn(fd, f)
		if reason != "" {
			return nil, fmt.Sprintf("columns: its default does not become %s: %s", f.cell.Type, reason)
		}
		return out, ""
	case isText(optionOf(fd).GetType()) && !fd.HasDefault():
		return nil, "" // the empty string is no NUMERIC, JSON or the like
	}
	out := slices.Clone(f.out)
	switch f.op {
	case opMessage:
		return protowire.AppendBytes(out, filled(f.node)), ""
	case opEnum:
		return append(out, f.enum.text(nil, int32(fd.Default().Enum()))...), ""
	case opJSON:
		return protowire.AppendBytes(out, f.json.absent()), ""
	}
	return f.append(out, fd.Default()), ""
}

// emptyRange reports whether an absent field would be a RANGE that is none: the value of a map's entry, whose bounds
// are both their zero.
func (f *field) emptyRange(fd protoreflect.FieldDescriptor) bool {
	return fd.ContainingMessage().IsMapEntry() && f.node != nil && f.node.bounds != nil &&
		f.node.bounds.Check(filled(f.node)) != ""
}

// isWell says that values are messages that become one value.
func (f *field) isWell() bool {
	return f.op == opTimestamp || f.op == opDuration || f.op == opWrapper || f.op == opKnown || f.op == opEmpty
}

// filled is what a message without fields becomes; ok says that it becomes a value.
func (f *field) filled() (out []byte, ok bool) {
	var m machine
	ok = m.well(f.dateless(), 0, 0, 0)
	return m.out, ok
}

// dateless is the field without the contract's dates, which zeros and defaults are not held to.
func (f *field) dateless() *field {
	copied := *f
	if f.cell != nil {
		cell := *f.cell
		cell.Dates, copied.cell = nil, &cell
	}
	return &copied
}

// noZero reports whether an absent field would be a value of a column that there is not: that of a map's entry.
func (f *field) noZero(fd protoreflect.FieldDescriptor) bool {
	if !fd.ContainingMessage().IsMapEntry() || !f.isWell() {
		return false
	}
	_, ok := f.filled()
	return !ok
}

// filled is a message that holds nothing but what is written for absent fields.
func filled(n *node) []byte {
	var out []byte
	for w, mask := range n.fill {
		for ; mask != 0; mask &= mask - 1 {
			out = append(out, n.values[w*64+bits.TrailingZeros64(mask)]...)
		}
	}
	return out
}
