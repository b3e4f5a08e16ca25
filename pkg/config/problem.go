package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	// Key is the full key, for example `kafka.brokers[1]`; empty when it is the file as a whole.
	Key string
	// File is the configuration file; empty when the configuration came from elsewhere.
	File string
	// Line is where the key stands, from 1; 0 when it does not stand anywhere.
	Line int
	// Message says what is wrong.
	Message string
	// Remedy says what to do about it.
	Remedy string
}

// String is the problem on one line, and its remedy on a second.
func (p Problem) String() string {
	var out strings.Builder
	out.WriteString(p.File)
	if p.File != "" && p.Line > 0 {
		fmt.Fprintf(&out, ":%d", p.Line)
	}
	for _, part := range []string{p.Key, p.Message} {
		if part != "" {
			if out.Len() > 0 {
				out.WriteString(": ")
			}
			out.WriteString(part)
		}
	}
	if p.Remedy != "" {
		out.WriteString("\n    " + p.Remedy)
	}
	return out.String()
}

// Problems is everything wrong with a configuration. It is never empty as an error.
type Problems []Problem //nolint:errname // It is read as a list, and named as one.

// Error lists all problems.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p)+1)
	if len(p) > 1 {
		lines = append(lines, fmt.Sprintf("%d problems in the configuration", len(p)))
	}
	for _, problem := range p {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// sorted is the problems in the order of the file, those of missing keys last; nil without any.
func (p Problems) sorted() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, byLine)
	return p
}

// byLine sorts the problems of a file; those without a line stand last.
func byLine(a, b Problem) int {
	if (a.Line == 0) != (b.Line == 0) {
		return cmp.Compare(b.Line, a.Line)
	}
	return cmp.Compare(a.Line, b.Line)
}

// yamlLine is how the YAML library says where it stopped.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// yamlError takes the line out of the library's message.
func yamlError(err error) (line int, message string) {
	match := yamlLine.FindStringSubmatch(err.Error())
	if match == nil {
		return 0, err.Error()
	}
	line, _ = strconv.Atoi(match[1]) // no line is line 0
	return line, match[2]
}
