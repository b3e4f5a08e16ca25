package decode

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestFaults(t *testing.T) {
	var m Faults
	if m.Err() != nil || m.Add(nil) != nil {
		t.Error("an error out of nothing")
	}
	other := errors.New("no field's")
	if err := m.Add(other); !errors.Is(err, other) || m.Err() != nil {
		t.Errorf("%v, %v", err, m.Err())
	}
	if err := m.Add(fmt.Errorf("of a contract: %w", FaultAt("p.a", "first"))); err != nil ||
		m.Err().Error() != "p.a: first" {
		t.Errorf("%v, %v", err, m.Err())
	}
	if _, ok := m.Err().(*SchemaError); !ok { //nolint:errorlint // one is itself
		t.Errorf("one fault is a %T", m.Err())
	}
	if err := m.Add(SchemaErrors{FaultAt("p.a", "it follows from the first"), FaultAt("p.b", "second")}); err != nil {
		t.Error(err)
	}
	if err := m.Err(); err.Error() != "p.a: first; p.b: second" {
		t.Error(err)
	}
	var first *SchemaError
	if err := m.Err(); !errors.As(err, &first) || first.Field != "p.a" {
		t.Errorf("the first of %v is %v", err, first)
	}
	for i := range 2 * mostFaults {
		_ = m.Add(FaultAt(fmt.Sprint("p.c", i), "another"))
	}
	var all SchemaErrors
	if err := m.Err(); !errors.As(err, &all) || len(all) != mostFaults ||
		!strings.HasSuffix(err.Error(), "p.c47: another (and so on: 52 fields more)") || m.Len() != 102 {
		t.Errorf("%d reported of %d: %v", len(all), m.Len(), err)
	}
	if again := m.Err(); strings.Count(again.Error(), "and so on") != 1 {
		t.Error("a second call reports again")
	}
}
