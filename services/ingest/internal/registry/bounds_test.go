package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
)

// A schema is foreign input, and so is what it refers to: beyond a bound on all of it the records that name it are
// refused, and what is kept is bounded in bytes as well.
func TestSchemasAreBounded(t *testing.T) {
	n := serve(t, false)
	record := func(name string, size int, fields string) string {
		return fmt.Sprintf(`{"type":"record","name":%q,"doc":%q,"fields":[%s]}`, name, strings.Repeat("d", size),
			fields)
	}
	whole := n.register(t, "whole", record("Whole", 1<<20, `{"name":"a","type":"int"}`))
	references, fields := []sr.SchemaReference{}, []string{}
	for i := range 4 {
		name := fmt.Sprint("Part", i)
		n.register(t, name, record(name, 300<<10, `{"name":"a","type":"int"}`))
		references = append(references, sr.SchemaReference{Name: name, Subject: name, Version: 1})
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":%q}`, i, name))
	}
	parts := n.register(t, "parts", record("Parts", 0, strings.Join(fields, ",")), references...)
	c := connect(t, nil, nil, n)
	for _, id := range []int{whole, parts} {
		if _, err := c.ByID(t.Context(), id); err == nil || !strings.Contains(err.Error(), "more than 1048576") {
			t.Errorf("id %d: %v", id, err)
		}
	}
	half := n.register(t, "half", record("Half", 1<<19, `{"name":"a","type":"int"}`))
	s, err := c.ByID(t.Context(), half)
	if err != nil {
		t.Fatal(err)
	}
	for id := range 300 {
		c.keep(1000+id, known{schema: s})
		c.keep(1000+id, known{schema: s})
	}
	held := 0
	for _, k := range c.byID {
		held += k.schema.bytes()
	}
	if held > maxCachedBytes || held != c.bytes {
		t.Errorf("%d bytes are kept, counted %d", held, c.bytes)
	}
}
