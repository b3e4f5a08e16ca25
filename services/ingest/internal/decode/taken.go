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

// Forget is for the next payload.
func (t *Taken) Forget() { t.ID, t.HasID, t.HasTime, t.far = nil, false, false, 0 }

// EventID returns the identity of the event in the payload last appended, as text. It is valid until the next Append
// and may alias that payload; ok is false if the contract names no field, or it was null, missing, or has no presence
// and is empty or zero.
func (t *Taken) EventID() (id []byte, ok bool) { return t.ID, t.HasID }

// EventTime returns when the event in the payload last appended happened, in microseconds since the epoch, within
// BigQuery's range; ok is false if the contract names no field, or it was null, missing, or has no presence and is
// zero.
func (t *Taken) EventTime() (micros int64, ok bool) { return t.Micros, t.HasTime }
