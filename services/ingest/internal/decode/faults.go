package decode

import (
	"errors"
	"fmt"
	"strings"
)

// SchemaErrors is all that is wrong with the fields of a schema; errors.As finds the first.
type SchemaErrors []*SchemaError

func (e SchemaErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns each.
func (e SchemaErrors) Unwrap() []error {
	each := make([]error, len(e))
	for i, one := range e {
		each[i] = one
	}
	return each
}

// mostFaults bounds the errors of one schema that are reported one by one, and its warnings.
const mostFaults = 50

// Warned are the warnings about one schema, as Warnings has them.
type Warned []string

// Warn adds a warning about a place in the schema, unless there are very many.
func (w *Warned) Warn(place, format string, args ...any) {
	if len(*w) < mostFaults {
		*w = append(*w, place+": "+fmt.Sprintf(format, args...))
	}
}

// Faults gathers what is wrong with the fields of a schema, so that a compiler goes on behind the first. Of a field
// the first error counts: what follows may follow from it.
type Faults struct {
	found SchemaErrors
	at    map[string]bool
	more  int
}

// Add keeps an error that is about fields, and returns any other.
func (m *Faults) Add(err error) error {
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[SchemaErrors](err)
	if !ok {
		one, ok := errors.AsType[*SchemaError](err)
		if !ok {
			return err
		}
		all = SchemaErrors{one}
	}
	for _, one := range all {
		switch {
		case m.at[one.Field]:
			continue
		case len(m.found) == mostFaults:
			m.more++
		default:
			m.found = append(m.found, one)
		}
		if m.at == nil {
			m.at = map[string]bool{}
		}
		m.at[one.Field] = true
	}
	return nil
}

// Len is how many fields have an error.
func (m *Faults) Len() int { return len(m.found) + m.more }

// Err is nil if there are none, a *SchemaError if there is one, else SchemaErrors.
func (m *Faults) Err() error {
	switch {
	case len(m.found) == 0:
		return nil
	case m.more > 0:
		last := *m.found[len(m.found)-1]
		last.Reason += fmt.Sprintf(" (and so on: %d fields more)", m.more)
		return append(m.found[:len(m.found)-1:len(m.found)-1], &last)
	case len(m.found) == 1:
		return m.found[0]
	}
	return m.found
}
