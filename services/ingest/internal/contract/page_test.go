package contract_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// Every key of a contract is on its page, so that nothing has to be looked up in the code.
func TestPageHasEveryKey(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	var look func(of reflect.Type, prefix string)
	look = func(of reflect.Type, prefix string) {
		for f := range of.Fields() {
			key := f.Tag.Get("yaml")
			switch {
			case key == "":
			case f.Type.Kind() == reflect.Struct:
				look(f.Type, prefix+key+".")
			case !strings.Contains(string(page), "\n- `"+prefix+key+"`"):
				t.Errorf("docs/contracts.md has no line for %s%s", prefix, key)
			}
		}
	}
	look(reflect.TypeFor[contract.Config](), "")
}
