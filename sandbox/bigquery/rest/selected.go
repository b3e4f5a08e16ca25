package rest

import (
	"slices"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// selection is a choice of columns, and of fields in those that are RECORDs, in the order of the table: that of the
// names asked for does not count
// (https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#tablereadoptions).
type selection struct {
	columns []*row.Column
	// from are the places of the columns in a whole record; within, for a RECORD of which some fields are chosen, is
	// their choice.
	from   []int
	within []*selection
	whole  bool
}

// choose reads selectedFields: names such as a or r.x, several of them separated by commas. None is all columns.
func choose(columns []*row.Column, names []string) (*selection, error) {
	var paths [][]string
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			if name != "" {
				paths = append(paths, strings.Split(name, "."))
			}
		}
	}
	if len(paths) == 0 {
		return &selection{columns: columns, whole: true}, nil
	}
	return chooseFields(columns, paths, "")
}

func chooseFields(columns []*row.Column, paths [][]string, under string) (*selection, error) {
	inside := map[int][][]string{}
	for _, path := range paths {
		i, c := row.Field(columns, path[0])
		if c == nil || len(path) > 1 && c.Type != row.Struct {
			return nil, badRequest("No such field: " + under + strings.Join(path, "."))
		}
		inside[i] = append(inside[i], path[1:])
	}
	out := &selection{}
	for i, c := range columns {
		rest, chosen := inside[i]
		if !chosen {
			continue
		}
		within := &selection{columns: c.Fields, whole: true}
		if !slices.ContainsFunc(rest, func(path []string) bool { return len(path) == 0 }) {
			var err error
			if within, err = chooseFields(c.Fields, rest, under+c.Name+"."); err != nil {
				return nil, err
			}
			narrowed := *c
			narrowed.Fields = within.columns
			c = &narrowed
		}
		out.columns, out.from, out.within = append(out.columns, c), append(out.from, i), append(out.within, within)
	}
	return out, nil
}

// of is the chosen part of a record.
func (s *selection) of(record row.Record) row.Record {
	if s.whole || record == nil {
		return record
	}
	out := make(row.Record, len(s.columns))
	for i, at := range s.from {
		out[i] = s.within[i].ofValue(record[at])
	}
	return out
}

func (s *selection) ofValue(v any) any {
	switch v := v.(type) {
	case row.Record:
		return s.of(v)
	case row.List:
		out := make(row.List, len(v))
		for i := range v {
			out[i] = s.ofValue(v[i])
		}
		return out
	}
	return v
}
