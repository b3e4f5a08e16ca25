package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// query is an expression and where it stands.
type query struct {
	of, expr string
	// unit is what the panel says of its values, as Grafana names units; empty for an alert rule, which has values only
	// while something is wrong.
	unit string
}

// dashboard is what is read of Grafana's JSON.
type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type string }
	}
}

type panel struct {
	Title       string
	Panels      []panel // of a row
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ Expr string }
}

// panels are the queries of a dashboard, with "all" for its variables.
func panels(path string) ([]query, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []query
	var walk func([]panel) error
	walk = func(all []panel) error {
		for _, p := range all {
			for _, t := range p.Targets {
				expr := t.Expr
				for _, v := range d.Templating.List {
					expr = strings.ReplaceAll(strings.ReplaceAll(expr, "${"+v.Name+"}", ".*"), "$"+v.Name, ".*")
				}
				if strings.Contains(expr, "$") || p.FieldConfig.Defaults.Unit == "" {
					return fmt.Errorf("%s: panel %q has no unit, or a variable that is not the dashboard's: %s", path,
						p.Title, expr)
				}
				out = append(out, query{
					of:   strings.TrimSuffix(filepath.Base(path), ".json") + ": " + p.Title,
					expr: expr, unit: p.FieldConfig.Defaults.Unit,
				})
			}
			if err := walk(p.Panels); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(d.Panels); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no query: this looks in the wrong place", path)
	}
	return out, nil
}

// alerts are the queries of a file of rules.
func alerts(path string) ([]query, error) {
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, parser.NewParser(parser.Options{}),
		slog.Default())
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var out []query
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			out = append(out, query{of: r.Alert, expr: r.Expr})
		}
	}
	return out, nil
}
