package decode

import "google.golang.org/protobuf/encoding/protowire"

// RangeBounds says where the bounds of a RANGE are in its message.
type RangeBounds struct{ Start, End protowire.Number }

// Check checks that a range starts before it ends, as BigQuery asks (GoogleSQL, "Range type"). body is the message of
// the range: its bounds are numbers, or texts that sort as the moments they stand for.
func (r RangeBounds) Check(body []byte) (reason string) {
	const empty = "the range ends before it starts, or where it starts"
	var numbers [2]int64
	var texts [2][]byte
	found := 0
	for len(body) > 0 {
		number, wire, n := protowire.ConsumeTag(body)
		body = body[max(n, 0):]
		at := 0
		if number == r.End {
			at = 1
		}
		if wire == protowire.BytesType {
			texts[at], n = protowire.ConsumeBytes(body)
		} else {
			var v uint64
			v, n = protowire.ConsumeVarint(body)
			numbers[at] = int64(v)
		}
		if n < 0 {
			return empty
		}
		body = body[n:]
		found++
	}
	if found < 2 || numbers[0] < numbers[1] || string(texts[0]) < string(texts[1]) {
		return "" // a bound that is missing is none
	}
	return empty
}
