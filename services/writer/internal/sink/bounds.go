package sink

import (
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// What BigQuery takes of a table's columns (BigQuery, "Quotas and limits" of tables, and "Specifying a schema", column
// names).
const (
	// maxColumns counts nested ones as well, each in every place where it is.
	maxColumns = 10_000
	// maxLevels is how deep RECORD columns may be nested.
	maxLevels = 15
	// maxNameBytes bounds the name of a column.
	maxNameBytes = 300
	// maxDescriptor bounds an encoded row descriptor. It goes into a request of 10 MB together with rows.
	maxDescriptor = 4 << 20
	// maxNames bounds the full names of all that a descriptor declares, in bytes: each names all it is declared in, so
	// they may outgrow it by far.
	maxNames = 4 * maxDescriptor
)

var columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reservedPrefixes are in lower case; BigQuery refuses them in any.
var reservedPrefixes = []string{"_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier"}

const narrow = "leave fields out of the schema, or write them as one JSON column"

// checkSize bounds what is declared in a descriptor, in time linear in its size: what unfolds it, and what spells out
// the full names of what is in it, comes later.
func checkSize(d *descriptorpb.DescriptorProto) error {
	if size := proto.Size(d); size > maxDescriptor {
		return fmt.Errorf("row descriptor %.60s: %d bytes, at most %d fit in a request beside rows; %s", d.GetName(),
			size, maxDescriptor, narrow)
	}
	var n declared
	if err := n.count(d, 0, 0); err != nil {
		return err
	}
	if n.names > maxNames {
		return fmt.Errorf("row descriptor %s: the full names of its fields take %d bytes, at most %d; shorten "+
			"names, or nest types less deep", d.GetName(), n.names, maxNames)
	}
	if n.fields > maxColumns || n.types > maxColumns {
		return fmt.Errorf("row descriptor %s declares %d fields and %d types, a BigQuery table holds at most %d "+
			"columns; %s",
			d.GetName(), n.fields, n.types, maxColumns, narrow)
	}
	return nil
}

// maxDeclared is how deep types may be declared inside each other. They may be used less deep than that, but not by
// many levels.
const maxDeclared = 4 * maxLevels

// declared counts what a descriptor declares.
type declared struct{ fields, types, names int }

// count counts a type that is declared so many levels deep, in types whose full name takes `within` bytes.
func (n *declared) count(d *descriptorpb.DescriptorProto, levels, within int) error {
	n.types++
	within += len(d.GetName()) + 1
	n.names += within * (1 + len(d.GetField()))
	n.fields += len(d.GetField())
	if levels > maxDeclared {
		return fmt.Errorf("type %s is declared more than %d levels deep, and BigQuery nests RECORD columns at most %d "+
			"levels deep; write what is deeper as one JSON column",
			d.GetName(), maxDeclared, maxLevels)
	}
	if err := shortEnough("type", d.GetName()); err != nil {
		return err
	}
	for _, f := range d.GetField() {
		if err := shortEnough("field", f.GetName()); err != nil {
			return err
		}
	}
	for _, nested := range d.GetNestedType() {
		if err := n.count(nested, levels+1, within); err != nil {
			return err
		}
	}
	return nil
}

func shortEnough(what, name string) error {
	if len(name) <= maxNameBytes {
		return nil
	}
	return fmt.Errorf("%s %.60s…: the name of a column has at most %d characters, this one %d; shorten it", what, name,
		maxNameBytes, len(name))
}

// extent is what a row message unfolds to.
type extent struct {
	// columns counts nested ones, up to one more than maxColumns; levels are those of RECORD below it.
	columns, levels int
	// open says that it is being measured: what meets it again is inside itself.
	open bool
}

// checkColumns sees whether BigQuery takes the columns that a message unfolds to. Each message is looked at once,
// however often it is used.
func checkColumns(message protoreflect.MessageDescriptor) error {
	all, err := measure(message, make(map[protoreflect.FullName]*extent))
	switch {
	case err != nil:
		return err
	case all.columns > maxColumns:
		return fmt.Errorf("row message %s unfolds to more than the %d columns that a BigQuery table holds, nested "+
			"ones included; %s", message.FullName(), maxColumns, narrow)
	case all.columns == 0:
		return fmt.Errorf("row message %s has no fields, a BigQuery table needs a column", message.FullName())
	}
	return nil
}

// measure fails on what is wrong with a message by itself, and on messages nested too deep.
func measure(message protoreflect.MessageDescriptor, known map[protoreflect.FullName]*extent) (*extent, error) {
	if e := known[message.FullName()]; e != nil {
		if e.open {
			return nil, fmt.Errorf("row message %s is inside itself, BigQuery has no recursive columns; write it as "+
				"one JSON column", message.FullName())
		}
		return e, nil
	}
	e := &extent{open: true}
	known[message.FullName()] = e
	names := make(map[string]protoreflect.Name)
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if err := checkName(field); err != nil {
			return nil, err
		}
		if other, taken := names[strings.ToLower(string(field.Name()))]; taken {
			return nil, fmt.Errorf("field %s: BigQuery has one column for names that differ in case only, and %s is "+
				"there already; rename one", field.FullName(), other)
		}
		names[strings.ToLower(string(field.Name()))] = field.Name()
		e.columns++
		option, _ := proto.GetExtension(field.Options(), columnv1.E_Column).(*columnv1.Column)
		if field.Message() == nil || option.GetType() != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED {
			continue // A message with a type of its own is one column, a RANGE.
		}
		inner, err := measure(field.Message(), known)
		if err != nil {
			return nil, err
		}
		if inner.columns == 0 {
			return nil, fmt.Errorf("field %s: message %s has no fields, a RECORD needs one; leave it out",
				field.FullName(), field.Message().FullName())
		}
		e.columns = min(e.columns+inner.columns, maxColumns+1)
		if e.levels = max(e.levels, 1+inner.levels); e.levels > maxLevels {
			return nil, fmt.Errorf("field %.200s: BigQuery nests RECORD columns at most %d levels deep; write what "+
				"is deeper as one JSON column", field.FullName(), maxLevels)
		}
	}
	e.open = false
	return e, nil
}

func checkName(field protoreflect.FieldDescriptor) error {
	name := string(field.Name())
	switch lower := strings.ToLower(name); {
	case !columnName.MatchString(name):
		return fmt.Errorf("field %s: a column's name has letters, digits and underscores, and no digit first; "+
			"rename it",
			field.FullName())
	default:
		for _, prefix := range reservedPrefixes {
			if strings.HasPrefix(lower, prefix) {
				return fmt.Errorf("field %s: BigQuery keeps names that start with %s for itself; rename it",
					field.FullName(), strings.ToUpper(prefix))
			}
		}
	}
	return nil
}
