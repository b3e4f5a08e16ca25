package record

import "sort"

// Kept is a record as the place of its bytes.
type Kept struct {
	batch *Batch
	at    uint32
}

// Keep is what brings the record back later. It refers to what the record refers to, for as long as that is there: a
// record in a counted buffer is there until it is released.
func (r *Record) Keep() Kept {
	if r.kept.batch != nil {
		return r.kept
	}
	one := *r
	return Kept{batch: &Batch{one: &one}}
}

// Record reads the record once more.
func (k Kept) Record() *Record {
	if k.batch.one != nil {
		return k.batch.one
	}
	r := new(Record)
	if _, err := k.batch.Read(int(k.at), r, nil); err != nil {
		panic(err) // it was read before, and nobody writes to it
	}
	return r
}

// Places are consecutive records, of which some can be brought back: those that were kept. They take four bytes each,
// which spares memory and the garbage collector's time. The zero value has none.
type Places struct {
	runs []run
	at   []uint32
}

// run is records of one batch.
type run struct {
	batch *Batch
	// first is the index of the first one that was kept, count how many there are, with those that were only passed.
	first, count int
}

// Keep adds a record that Record brings back.
func (p *Places) Keep(r *Record) {
	k := r.kept
	if n := len(p.runs); n == 0 || p.runs[n-1].batch != k.batch || k.batch == nil {
		k = r.Keep()
		p.runs = append(p.runs, run{batch: k.batch, first: len(p.at)})
	}
	p.at = append(p.at, k.at)
	p.runs[len(p.runs)-1].count++
}

// Pass adds a record that nobody needs any more.
func (p *Places) Pass(r *Record) {
	if r.kept.batch == nil {
		return
	}
	if n := len(p.runs); n == 0 || p.runs[n-1].batch != r.kept.batch {
		p.runs = append(p.runs, run{batch: r.kept.batch, first: len(p.at)})
	}
	p.runs[len(p.runs)-1].count++
}

// Len is how many records were kept.
func (p *Places) Len() int { return len(p.at) }

// Record is the i-th of those that were kept.
func (p *Places) Record(i int) *Record {
	// The last run that begins at i or before: one that was only passed begins where the next one does.
	n := sort.Search(len(p.runs), func(n int) bool { return p.runs[n].first > i }) - 1
	return Kept{p.runs[n].batch, p.at[i]}.Record()
}

// Release says that nobody will look at any of the records again, kept or passed, nor at what was read of them. None
// are left then.
func (p *Places) Release() {
	for i := range p.runs {
		if r := &p.runs[i]; r.batch.Buffer != nil {
			r.batch.Buffer.Release(r.count)
		}
	}
	p.Reset()
}

// Reset forgets them all, and leaves the records to the garbage collector.
func (p *Places) Reset() {
	clear(p.runs)
	p.runs, p.at = p.runs[:0], p.at[:0]
}

// Reset drops what the record refers to, but for the array of its headers.
func (r *Record) Reset() {
	clear(r.own)
	*r = Record{own: r.own[:0]}
}
