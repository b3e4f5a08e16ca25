package decode

// Taken is what the envelope needs of a payload: the event's identity and time. It is valid until the next payload.
type Taken struct {
	// ID may alias the payload, or Text.
	ID, Text []byte
	HasID    bool
	Micros   int64
	HasTime  bool
	far      int
}

// Take is what the envelope takes of a value.
type Take uint8

// What it may take.
const (
	TakeID Take = 1 << iota
	TakeTime
)

// Takes is what the envelope takes of the value at a path.
func (o *Options) Takes(path *Path) (t Take) {
	if path.Is(o.EventIDPath()) {
		t |= TakeID
	}
	if path.Is(o.EventTimePath()) {
		t |= TakeTime
	}
	return t
}

// Forget is for the next payload.
func (t *Taken) Forget() { t.ID, t.HasID, t.HasTime, t.far = nil, false, false, 0 }

// EventID implements Decoder. ok is also false where a field without presence is empty or zero.
func (t *Taken) EventID() (id []byte, ok bool) { return t.ID, t.HasID }

// EventTime implements Decoder. ok is also false where a field without presence is zero.
func (t *Taken) EventTime() (micros int64, ok bool) { return t.Micros, t.HasTime }
