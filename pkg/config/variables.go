package config

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variableName is what the POSIX shell takes as a name.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// value is the text of a scalar with its variables put in. false means that a problem has been reported.
func (l *loader) value(node *yaml.Node, key string) (text string, ok bool) {
	if !strings.Contains(node.Value, "${") {
		return node.Value, true
	}
	var out strings.Builder
	rest := node.Value
	ok = true
	for {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			out.WriteString(rest)
			return out.String(), ok
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString(before + "{")
			rest = after
			continue
		}
		out.WriteString(before)
		expression, after, closed := strings.Cut(after, "}")
		if !closed {
			l.report(key, node.Line, "${ without }", "close the variable with }, or write $${ for the text ${")
			return "", false
		}
		value, good := l.variable(expression, node, key)
		out.WriteString(value)
		ok = ok && good
		rest = after
	}
}

// variable is the value of what stands between ${ and }.
func (l *loader) variable(expression string, node *yaml.Node, key string) (value string, ok bool) {
	name, otherwise := expression, ""
	operator := strings.IndexByte(expression, ':')
	if operator >= 0 {
		name, otherwise = expression[:operator], expression[operator:]
	}
	if !variableName.MatchString(name) {
		l.report(key, node.Line, fmt.Sprintf("%q is not the name of a variable", name),
			"write ${NAME}, or $${ for the text ${")
		return "", false
	}
	if otherwise != "" && !strings.HasPrefix(otherwise, ":-") && !strings.HasPrefix(otherwise, ":?") {
		l.report(key, node.Line, fmt.Sprintf("${%s} has an operator that is not known", expression),
			"write ${NAME}, ${NAME:-default} or ${NAME:?message}")
		return "", false
	}
	value, set := l.lookup(name)
	switch {
	case value != "" || set && otherwise == "":
		return value, true
	case otherwise == "":
		l.report(key, node.Line, fmt.Sprintf("variable %s is not set", name),
			fmt.Sprintf("set %s in the environment, or write ${%s:-default}", name, name))
		return "", false
	case strings.HasPrefix(otherwise, ":-"):
		return otherwise[2:], true
	default:
		l.report(key, node.Line, fmt.Sprintf("variable %s is not set: %s", name,
			cmp.Or(otherwise[2:], "it is required")), "set "+name+" in the environment")
		return "", false
	}
}
