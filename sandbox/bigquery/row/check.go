package row

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// Check validates one encoded row: wire format, UTF-8, enums, ranges and REQUIRED columns. It allocates only for the
// error, which names the column.
func (s *Shape) Check(row []byte) error { return s.root.check(row) }

var errWire = errors.New("the row is not a valid protobuf message")

func (m *message) check(b []byte) error {
	// seen has a bit for each needed field; rows with more than 64 of them are rare enough to allocate.
	var few [1]uint64
	seen := few[:]
	if len(m.needed) > 64 {
		seen = make([]uint64, (len(m.needed)+63)/64)
	}
	for len(b) > 0 {
		num, wire, n := head(b)
		if n == 0 {
			return errWire
		}
		b = b[n:]
		f := m.field(num)
		v, n := body(num, wire, b, f != nil)
		if n == 0 {
			return errWire
		}
		b = b[n:]
		if f == nil {
			continue // proto2 keeps what it does not know; BigQuery drops it
		}
		if f.need >= 0 {
			seen[f.need>>6] |= 1 << (f.need & 63)
		}
		if err := f.verify(wire, v); err != nil {
			return err
		}
	}
	if len(m.needed) > 0 {
		return m.missing(seen)
	}
	return nil
}

func (m *message) missing(seen []uint64) error {
	for i := 0; i < len(m.needed); i += 64 {
		want := ^uint64(0) >> (64 - min(64, len(m.needed)-i))
		if lost := want &^ seen[i>>6]; lost != 0 {
			f := m.needed[i+bits.TrailingZeros64(lost)]
			return fmt.Errorf("Field %s: required field is missing", f.path)
		}
	}
	return nil
}

func (f *field) verify(wire protowire.Type, v scalar) error {
	if wire != f.wire {
		if f.list && wire == protowire.BytesType {
			return f.packed(v.b, func(s scalar) error { return f.verifyOne(s) })
		}
		return fmt.Errorf("Field %s: wire type %d, expected %d", f.path, wire, f.wire)
	}
	return f.verifyOne(v)
}

func (f *field) verifyOne(v scalar) error {
	switch {
	case f.sub != nil:
		return f.sub.check(v.b)
	case f.span != nil:
		if err := f.span.check(v.b); err != nil {
			return err
		}
		_, err := f.rangeText(v.b)
		return f.name(err)
	case f.wrap != nil:
		inner, err := f.wrap.unwrap(v.b)
		if err == nil && f.wrap.check != nil {
			err = f.wrap.check(f.wrap, inner)
		}
		return f.name(err)
	case f.stamp:
		us, err := stampMicros(v.b)
		if err == nil {
			err = timestampRange(us)
		}
		return f.name(err)
	case f.check != nil:
		return f.name(f.check(f, v))
	}
	return nil
}

func (f *field) name(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("Field %s: %w", f.path, err)
}

// packed walks a packed repeated field.
func (f *field) packed(b []byte, one func(scalar) error) error {
	for len(b) > 0 {
		v, n := value(f.wire, b)
		if n == 0 {
			return errWire
		}
		b = b[n:]
		if err := one(v); err != nil {
			return err
		}
	}
	return nil
}

// unwrap reads the field inside a google.protobuf.*Value; an absent one is the zero of its kind.
func (f *field) unwrap(b []byte) (out scalar, err error) {
	err = walk(b, func(num protowire.Number, wire protowire.Type, v scalar) error {
		if num != 1 {
			return nil
		}
		if wire != f.wire {
			return fmt.Errorf("wire type %d, expected %d", wire, f.wire)
		}
		out = v
		return nil
	})
	return out, err
}

func stampMicros(b []byte) (us int64, err error) {
	err = walk(b, func(num protowire.Number, wire protowire.Type, v scalar) error {
		switch {
		case num > 2:
		case wire != protowire.VarintType:
			return errWire
		case num == 1:
			if s := int64(v.n); s < minMicros/1_000_000 || s > maxMicros/1_000_000 {
				return fmt.Errorf("TIMESTAMP %d seconds since the epoch is out of range", s)
			}
			us += int64(v.n) * 1e6
		case num == 2:
			us += int64(int32(v.n)) / 1000
		}
		return nil
	})
	return us, err
}

func walk(b []byte, each func(protowire.Number, protowire.Type, scalar) error) error {
	for len(b) > 0 {
		num, wire, n := head(b)
		v, m := value(wire, b[n:])
		if n == 0 || m == 0 {
			return errWire
		}
		b = b[n+m:]
		if err := each(num, wire, v); err != nil {
			return err
		}
	}
	return nil
}

// head reads the tag at the head of b; n = 0 says it is broken.
func head(b []byte) (num protowire.Number, wire protowire.Type, n int) {
	tag, n := uvarint(b)
	if tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return 0, 0, 0
	}
	return protowire.Number(tag >> 3), protowire.Type(tag & 7), n
}

// body reads the value behind a tag, or passes over that of a field that is not known; n = 0 says it is broken.
func body(num protowire.Number, wire protowire.Type, b []byte, known bool) (v scalar, n int) {
	if known {
		return value(wire, b)
	}
	return v, max(protowire.ConsumeFieldValue(num, wire, b), 0)
}

// value reads a value of a wire type from the head of b; n = 0 says it is broken, or a group.
func value(wire protowire.Type, b []byte) (v scalar, n int) {
	switch wire {
	case protowire.VarintType:
		v.n, n = uvarint(b)
	case protowire.BytesType:
		size, m := uvarint(b)
		if m == 0 || size > uint64(len(b)-m) {
			return v, 0
		}
		v.b, n = b[m:m+int(size)], m+int(size)
	case protowire.Fixed32Type:
		if len(b) < 4 {
			return v, 0
		}
		v.n, n = uint64(binary.LittleEndian.Uint32(b)), 4
	case protowire.Fixed64Type:
		if len(b) < 8 {
			return v, 0
		}
		v.n, n = binary.LittleEndian.Uint64(b), 8
	}
	return v, n
}

// uvarint is protowire.ConsumeVarint with the one-byte case inlined; n = 0 says it is broken.
func uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n = protowire.ConsumeVarint(b)
	return v, max(n, 0)
}
