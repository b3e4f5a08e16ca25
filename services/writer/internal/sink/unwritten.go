package sink

// unwritten reports whether nothing that the queue was given is in the stream or can still get there: no row was
// confirmed, and every response to what was sent has come, and was no. What is under way behind a rejected first
// request is rejected with it, being beyond the end.
func (q *queue) unwritten() bool {
	if q.repeats || q.end != q.begun {
		return false
	}
	for _, p := range q.pieces {
		if p.fate != fresh {
			return false
		}
	}
	return true
}
