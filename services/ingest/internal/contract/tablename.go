package contract

import (
	"fmt"
	"regexp"
	"strings"
)

// BigQuery's rules of names: "Dataset naming" and "Table naming" of its pages on datasets and tables. The id of a
// project of a domain has that before a colon.
var (
	projectName = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$`)
	datasetName = regexp.MustCompile(`^[a-zA-Z0-9_]+$`)
	tableName   = regexp.MustCompile(`^[\pL\pM\pN\p{Pc}\p{Pd}\p{Zs}]+$`)
)

// maxID bounds the id of a dataset in characters, and that of a table in bytes.
const maxID = 1024

// tableFault says what is wrong with the name of a table, behind what says that it is wrong, and what to do; both are
// empty where nothing is.
func tableFault(name string) (reason, remedy string) {
	parts := strings.Split(name, ".")
	table := parts[len(parts)-1]
	remedy = "write table, dataset.table or project.dataset.table"
	if len(parts) > 1 {
		dataset := parts[len(parts)-2]
		switch {
		case !datasetName.MatchString(dataset):
			return fmt.Sprintf(": the dataset is %.50q", dataset),
				"use letters, digits and underscores for the dataset; " +
					remedy
		case len(dataset) > maxID:
			return fmt.Sprintf(": the dataset has %d characters", len(dataset)), fmt.Sprintf("BigQuery takes %d", maxID)
		}
	}
	if len(parts) > 2 {
		if project := strings.Join(parts[:len(parts)-2], "."); !projectName.MatchString(project) {
			return fmt.Sprintf(": the project is %.80q", project), "write the project's id; " + remedy
		}
	}
	switch {
	case strings.ContainsAny(table, "$*@"):
		return ": it has a sign of partitions, wildcards or times in it", "name the table alone: rows find " +
			"their partition by themselves"
	case !tableName.MatchString(table):
		return ": BigQuery does not take all of its characters", "use letters, digits, marks, connectors " +
			"such as _, dashes and spaces; " + remedy
	case len(table) > maxID:
		return fmt.Sprintf(": it has %d bytes", len(table)), fmt.Sprintf("BigQuery takes %d", maxID)
	}
	return "", ""
}
