package decode

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// Numbers of every length, whatever is behind them.
func TestVarints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64().Draw(t, "v") >> rapid.IntRange(0, 63).Draw(t, "shift")
		src := binary.AppendUvarint(nil, v)
		if VarintLen(v) != len(src) {
			t.Fatalf("%d takes %d bytes, not %d", v, len(src), VarintLen(v))
		}
		if v < 1<<56 {
			w, size := SpreadVarint(v)
			if got := binary.LittleEndian.AppendUint64(nil, w); size != len(src) || !bytes.Equal(got[:size], src) ||
				w>>(8*size-1)>>1 != 0 {
				t.Fatalf("%d spread to %x, %d, want %x", v, got, size, src)
			}
		}
		src = append(src, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "behind")...)
		if got, next := Varint(src, 0); got != v || next != VarintLen(v) {
			t.Fatalf("%x is %d, %d, want %d", src, got, next, v)
		}
	})
}

// Any bytes, as protobuf's own library reads them.
func TestAnyVarint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0x7f, 0x80, 0x81, 0xff}), 0, 12).Draw(t, "src")
		want, n := protowire.ConsumeVarint(src)
		if n < 0 {
			n = VarintEnds
			if len(src) >= 10 {
				n = VarintTooLong
			}
		}
		if got, next := Varint(src, 0); next != n || n > 0 && got != want {
			t.Fatalf("%x: %d, %d, want %d, %d", src, got, next, want, n)
		}
	})
	if w, size := SpreadVarint(0); w != 0 || size != 1 || VarintLen(math.MaxUint64) != 10 {
		t.Error(w, size)
	}
}
