// Command kubeschemas writes JSON schemas of the Kubernetes kinds that the chart uses, each complete in itself and
// strict, from the OpenAPI file of Kubernetes. The result is kept in the tree, so that the chart is checked without it.
//
//	kubeschemas swagger.json deploy/helm/schemas
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kinds are those of the chart: group, version and kind as OpenAPI names them.
var kinds = []string{
	"io.k8s.api.apps.v1.Deployment",
	"io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
	"io.k8s.api.core.v1.ConfigMap",
	"io.k8s.api.core.v1.Service",
	"io.k8s.api.core.v1.ServiceAccount",
	"io.k8s.api.networking.v1.NetworkPolicy",
	"io.k8s.api.policy.v1.PodDisruptionBudget",
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kubeschemas SWAGGER.json FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "kubeschemas:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	for _, kind := range kinds {
		if document.Definitions[kind] == nil {
			return fmt.Errorf("%s has no definition of %s", from, kind)
		}
		whole := expand(document.Definitions, map[string]any{"$ref": "#/definitions/" + kind}).(map[string]any)
		pin(whole, kind)
		out, err := json.Marshal(whole)
		if err != nil {
			return err
		}
		parts := strings.Split(strings.ToLower(kind), ".")
		// kubeconform's name for it: kind, group (none for the core) and version.
		name := fmt.Sprintf("%s-%s-%s.json", parts[len(parts)-1], parts[len(parts)-3], parts[len(parts)-2])
		name = strings.Replace(name, "-core-", "-", 1)
		if err := os.WriteFile(filepath.Join(to, name), append(out, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pin makes the kind's own name and version the only ones.
func pin(whole map[string]any, kind string) {
	properties := whole["properties"].(map[string]any)
	parts := strings.Split(kind, ".")
	properties["kind"] = map[string]any{"enum": []any{parts[len(parts)-1]}}
	whole["required"] = []any{"apiVersion", "kind", "metadata"}
}

// expand puts definitions in the place of references, drops descriptions, and forbids unknown keys where the keys are
// known.
func expand(definitions map[string]map[string]any, node any) any {
	switch node := node.(type) {
	case []any:
		out := make([]any, len(node))
		for i := range node {
			out[i] = expand(definitions, node[i])
		}
		return out
	case map[string]any:
		if reference, ok := node["$ref"].(string); ok {
			name := strings.TrimPrefix(reference, "#/definitions/")
			switch {
			case strings.HasSuffix(name, "IntOrString"):
				return map[string]any{"type": []any{"integer", "string"}}
			case strings.HasSuffix(name, "Quantity"):
				return map[string]any{"type": []any{"number", "string"}}
			}
			return expand(definitions, map[string]any(definitions[name]))
		}
		out := map[string]any{}
		for key, value := range node {
			if key == "properties" {
				known := map[string]any{}
				for name, property := range value.(map[string]any) {
					known[name] = expand(definitions, property)
				}
				out[key] = known
				continue
			}
			if (key == "description" || strings.HasPrefix(key, "x-kubernetes")) || key == "format" {
				continue
			}
			out[key] = expand(definitions, value)
		}
		if _, known := out["properties"]; known && out["additionalProperties"] == nil {
			out["additionalProperties"] = false
		}
		return out
	}
	return node
}
