package decode

// Bounds of what foreign input costs. A schema may come with a record, as a container file's does, or be met in flight;
// a payload may stand for many times its length: packed, or by defaults that stand for what it leaves out.
const (
	// MaxSchema bounds a schema with all that it refers to, in bytes. What is made of it is a few hundred times as much
	// at most, and is released once it is compiled.
	MaxSchema = 1 << 20
	// MaxRow bounds the payload's column of a row, in bytes: more than BigQuery takes in a request (20 MB, quotas of
	// the Storage Write API).
	MaxRow = 32 << 20
	// KeptBytes bounds a buffer that is kept from record to record: one huge record must not hold its memory for ever
	// in each lane.
	KeptBytes = 1 << 20
)

// RowReason is the reason of an Error about a row beyond MaxRow.
const RowReason = "the row is longer than 32 MiB by now, and BigQuery takes none of 20 MB"

// Trim releases memory that only a huge record needed.
func Trim[E any](s []E) []E {
	if cap(s) > KeptBytes {
		return nil
	}
	return s
}
