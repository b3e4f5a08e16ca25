package deadletter

import (
	"math"
	"strings"
	"testing"
)

func TestOffsets(t *testing.T) {
	for text, want := range map[string]Offsets{
		"5": {5, 5}, "5..7": {5, 7}, "5..": {5, math.MaxInt64}, "..7": {0, 7}, "..": {0, math.MaxInt64},
		"": {}, "x": {}, "7..5": {}, "5..7..9": {}, "-1..3": {}, "5 6": {},
	} {
		var o Offsets
		err := o.UnmarshalText([]byte(text))
		if good := want != (Offsets{}); good != (err == nil) || good && o != want {
			t.Errorf("%q: %v, %v", text, o, err)
		}
		if err != nil && !strings.Contains(err.Error(), "A..B") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
