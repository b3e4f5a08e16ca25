package lane

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"
)

// What a table of BigQuery may have at most (https://cloud.google.com/bigquery/quotas, "Standard tables": columns,
// nested and repeated ones included; levels of nested records), and with it a row descriptor. A type that is used twice
// has its columns twice, so a few bytes can describe any number of them; whoever walks a descriptor walks them all.
const (
	maxColumns = 10_000
	maxLevels  = 15
	// maxName is four bytes for each of the 300 characters of a column's name.
	maxName = 1200
	// maxColumnsAtOnce bounds those of all routes of one message.
	maxColumnsAtOnce = 100_000
)

// measure counts the columns that a descriptor describes, in time linear in what is written in it. It knows no more of
// a descriptor than which type contains which: what else is wrong with it is the sink's to find. The error says which
// bound it exceeds, or which type contains itself.
func measure(d *descriptorpb.DescriptorProto) (columns int, err error) {
	m := meter{types: make(map[string]*measured)}
	root := "." + d.GetName()
	if err := m.declare(d, "", 0); err != nil {
		return 0, err
	}
	columns, _, err = m.walk(root, 0)
	return columns, err
}

type meter struct {
	types map[string]*measured // by full name, with a dot before it
	parts int
}

// measured is a type, and once it is done what it unfolds to.
type measured struct {
	descriptor      *descriptorpb.DescriptorProto
	open, done      bool
	columns, levels int
}

// declare notes a type and those declared in it. level is how many it is declared in.
func (m *meter) declare(d *descriptorpb.DescriptorProto, scope string, level int) error {
	if level > maxLevels {
		return fmt.Errorf("type %s is declared in more than %d others", d.GetName(), maxLevels)
	}
	m.parts += 1 + len(d.GetField()) + len(d.GetOneofDecl()) + len(d.GetExtension()) + len(d.GetExtensionRange()) +
		len(d.GetReservedRange()) + len(d.GetReservedName())
	for _, e := range d.GetEnumType() {
		m.parts += 1 + len(e.GetValue()) + len(e.GetReservedRange()) + len(e.GetReservedName())
	}
	long := len(d.GetName()) > maxName
	for _, f := range d.GetField() {
		long = long || len(f.GetName()) > maxName
	}
	switch {
	case long:
		return fmt.Errorf("a name in it has more than %d bytes", maxName)
	case m.parts > 2*maxColumns:
		return fmt.Errorf("it has more than %d types, fields and values", 2*maxColumns)
	}
	name := scope + "." + d.GetName()
	m.types[name] = &measured{descriptor: d}
	for _, nested := range d.GetNestedType() {
		if err := m.declare(nested, name, level+1); err != nil {
			return err
		}
	}
	return nil
}

// walk returns how many columns a type unfolds to, and over how many levels of records. level is that of the type: 0
// for the row.
func (m *meter) walk(name string, level int) (columns, levels int, err error) {
	t := m.types[name]
	switch {
	case t.open:
		return 0, 0, fmt.Errorf("type %s contains itself", name[1:])
	case t.done:
		return t.columns, t.levels, checkLevels(level + t.levels)
	}
	if err := checkLevels(level); err != nil {
		return 0, 0, err
	}
	t.open = true
	for _, f := range t.descriptor.GetField() {
		if t.columns++; t.columns > maxColumns {
			return 0, 0, fmt.Errorf("it describes more than %d columns", maxColumns)
		}
		inner := m.resolve(name, f.GetTypeName())
		if inner == "" || f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE &&
			f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_GROUP && f.Type != nil {
			continue
		}
		columns, levels, err := m.walk(inner, level+1)
		if err != nil {
			return 0, 0, err
		}
		t.levels = max(t.levels, levels+1)
		if t.columns += columns; t.columns > maxColumns {
			return 0, 0, fmt.Errorf("it describes more than %d columns", maxColumns)
		}
	}
	t.open, t.done = false, true
	return t.columns, t.levels, nil
}

// checkLevels bounds levels of records.
func checkLevels(levels int) error {
	if levels > maxLevels {
		return fmt.Errorf("it has more than %d levels of records", maxLevels)
	}
	return nil
}

// resolve finds a type by the name that a field of a type calls it by, from the innermost scope outwards as protobuf
// does; empty when none of them has it.
func (m *meter) resolve(scope, name string) string {
	if name == "" {
		return ""
	}
	if strings.HasPrefix(name, ".") {
		if m.types[name] != nil {
			return name
		}
		return ""
	}
	for {
		if full := scope + "." + name; m.types[full] != nil {
			return full
		}
		if scope == "" {
			return ""
		}
		scope = scope[:strings.LastIndexByte(scope, '.')]
	}
}
