package lane

import (
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// A lane that has not begun is about to open, and so it has been for as long as is looked at.
func TestSharesBeforeTheLaneBegins(t *testing.T) {
	now := time.Now()
	cause, since, minute, quarter := new(Lane).Shares(now)
	want := causes.Shares{}
	want[causes.Opening] = 1
	if cause != causes.Opening || !since.Equal(now) || minute != want || quarter != want {
		t.Errorf("%v since %v, %v, %v", cause, since, minute, quarter)
	}
}
