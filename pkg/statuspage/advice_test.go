package statuspage

import (
	"html/template"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Each cause that needs somebody's eyes has advice, and no other word has.
func TestEachCauseHasAdvice(t *testing.T) {
	text, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for part := range strings.SplitSeq(string(text), "\n### ") {
		cause, said, ok := strings.Cut(strings.TrimPrefix(part, "Cause `"), "`")
		if !ok || !strings.HasPrefix(part, "Cause `") {
			continue
		}
		found++
		nothing := strings.Contains(strings.Join(strings.Fields(said), " "), "Look at: nothing")
		means, _, _ := strings.Cut(strings.Join(strings.Fields(strings.TrimLeft(said, "`\n")), " "), " Look at:")
		if found > len(causeEntries) || causeEntries[found-1].Cause != cause ||
			causeEntries[found-1].Means != strings.ReplaceAll(means, "`", "") {
			t.Errorf("cause %s: docs/messages.md says %q; the page has %+v", cause, means, causeEntries)
		}
		if _, ok := advice[cause]; ok == nothing {
			t.Errorf("cause %s: there is advice: %v; docs/messages.md says to look at nothing: %v", cause, ok, nothing)
		}
	}
	if found != len(causeEntries) {
		t.Errorf("docs/messages.md has %d causes, and the page has %d", found, len(causeEntries))
	}
}

// The page of a table that is not fresh says where to look.
func TestTableSaysWhereToLook(t *testing.T) {
	p := &page{view: viewOf(fake{tables: 4, lanes: 5}), templates: parse()}
	const path = "/table"
	data, err := screens[path].gather(t.Context(), p, url.Values{"name": {"warehouse.orders_003"}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := p.templates.ExecuteTemplate(&out, screens[path].template, data); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "Look at: "+template.HTMLEscapeString(advice["quota"])) {
		t.Errorf("it does not say where to look:\n%s", out.String()[:2000])
	}
}
