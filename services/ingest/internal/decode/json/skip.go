package json

import "github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"

// The decoder's own forms of what checks JSON: a fault is noted, and the position negative.

// skip checks the value at p, which may nest so deep. Values that are dropped are held to BigQuery's limit as well;
// where the schema knows the objects, it bounds their depth.
func (d *Decoder) skip(p, depth int) int {
	p, reason := jsonscan.Value(d.src, p, depth)
	return d.judge(p, reason)
}

// skipText checks the text in the quotes at p.
func (d *Decoder) skipText(p int) int {
	p, reason := jsonscan.Text(d.src, p)
	return d.judge(p, reason)
}

// skipNumber checks the number at p.
func (d *Decoder) skipNumber(p int) int {
	p, reason := jsonscan.Number(d.src, p)
	return d.judge(p, reason)
}

// literal checks that a word stands at p.
func (d *Decoder) literal(p int, word string) int {
	p, reason := jsonscan.Word(d.src, p, word)
	return d.judge(p, reason)
}

func (d *Decoder) judge(p int, reason string) int {
	if reason != "" {
		return d.fail(p, reason)
	}
	return p
}
