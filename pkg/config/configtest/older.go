package configtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
)

// Older holds that an error of loading a file says of these keys, and of no others, that they are of older versions.
func Older(t *testing.T, err error, keys ...string) {
	t.Helper()
	problems, _ := errors.AsType[config.Problems](err)
	var got []string
	for _, p := range problems {
		if strings.HasPrefix(p.Message, "is a key of older versions: ") && p.Remedy == "remove it" {
			got = append(got, p.Key)
		}
	}
	slices.Sort(got)
	if slices.Sort(keys); !slices.Equal(got, keys) {
		t.Errorf("keys of older versions: %v, want %v: %v", got, keys, err)
	}
}
