package avro

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// Short texts, nearly all, are copied and checked by words in fast, without a call and with no branch that depends on
// their length: a mispredicted branch costs more than the copy.
const shortText = decode.ShortText

// The states of an automaton that fast runs in registers: to call decode.ValidWords there costs a fifth of all. Each is
// a bit offset into the entries of utf8Steps (the table of the Unicode Standard, 3-7: well-formed byte sequences). An
// entry holds for each state the state that its byte leads to.
const (
	utf8Start   = 6 * iota
	utf8One     // one continuation byte to come
	utf8Two     // two
	utf8Three   // three
	utf8AfterE0 // A0..BF, then one
	utf8AfterED // 80..9F, then one
	utf8AfterF0 // 90..BF, then two
	utf8AfterF4 // 80..8F, then two
	utf8Bad
)

var utf8Steps = func() (steps [256]uint64) {
	for b := range steps {
		next := func(from, to uint64, low, high int) {
			if b < low || b > high {
				to = utf8Bad
			}
			steps[b] |= to << from
		}
		first := uint64(utf8Bad)
		switch {
		case b < 0x80:
			first = utf8Start
		case b == 0xe0:
			first = utf8AfterE0
		case b == 0xed:
			first = utf8AfterED
		case b == 0xf0:
			first = utf8AfterF0
		case b == 0xf4:
			first = utf8AfterF4
		case b >= 0xc2 && b <= 0xdf:
			first = utf8One
		case b >= 0xe1 && b <= 0xef:
			first = utf8Two
		case b >= 0xf1 && b <= 0xf3:
			first = utf8Three
		}
		next(utf8Start, first, 0, 0xff)
		next(utf8One, utf8Start, 0x80, 0xbf)
		next(utf8Two, utf8One, 0x80, 0xbf)
		next(utf8Three, utf8Two, 0x80, 0xbf)
		next(utf8AfterE0, utf8One, 0xa0, 0xbf)
		next(utf8AfterED, utf8One, 0x80, 0x9f)
		next(utf8AfterF0, utf8Two, 0x90, 0xbf)
		next(utf8AfterF4, utf8Two, 0x80, 0x8f)
		next(utf8Bad, utf8Bad, 0, 0xff)
	}
	return steps
}()
