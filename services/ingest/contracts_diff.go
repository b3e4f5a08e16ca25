package ingest

import lanev1 "github.com/waybill-data/waybill/proto/lane/v1"

// additive is the evolution that adds columns.
const additive = "additive"

// Verdict is what becomes of a table when rows come.
type Verdict string

// What becomes of a table.
const (
	VerdictCreated Verdict = "will be created"
	VerdictFits    Verdict = "fits"
	VerdictColumns Verdict = "columns to add"
	VerdictRefused Verdict = "REFUSED"
)

// Verdict is what becomes of the table.
func (d *TableDiff) Verdict() Verdict {
	if !d.Diff.GetExists() {
		return VerdictCreated
	}
	if d.Diff.GetObstacle() != "" {
		return VerdictRefused
	}
	v := VerdictFits
	for _, difference := range d.Diff.GetDifferences() {
		switch {
		case d.Refuses(difference):
			return VerdictRefused
		case d.changes(difference):
			v = VerdictColumns
		}
	}
	return v
}

// changes says that the writer changes the table for a difference.
func (d *TableDiff) changes(difference *lanev1.Difference) bool {
	switch difference.GetKind() {
	case lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED:
		return d.Contract.Evolution == additive
	}
	return false
}

// Refuses says that a difference alone has the rows of the table refused.
func (d *TableDiff) Refuses(difference *lanev1.Difference) bool {
	switch difference.GetKind() {
	case lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER,
		lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT:
		return false
	case lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED:
		return d.Contract.Evolution != additive && !Runs(difference)
	}
	return true
}

// Runs says that a REQUIRED column does not stop the lane without evolution: the rows have it, and most may have a
// value.
func Runs(d *lanev1.Difference) bool {
	return d.GetKind() == lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED && d.GetWant() != ""
}

// Mismatches are the reasons for which the table would take no rows, all of them, in words; none when it takes them.
func (d *TableDiff) Mismatches() []string {
	if !d.Diff.GetExists() {
		return nil
	}
	var all []string
	if d.Diff.GetObstacle() != "" {
		all = append(all, "table "+d.Diff.GetTable()+" takes no rows: "+d.Diff.GetObstacle())
	}
	for _, one := range d.Diff.GetDifferences() {
		if d.Refuses(one) {
			all = append(all, "table "+d.Diff.GetTable()+", column "+difference(one))
		}
	}
	return all
}
