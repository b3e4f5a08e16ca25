package rest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// matches holds a request's If-Match against what is there.
func matches(r *http.Request, etag string) error {
	if match := r.Header.Get("If-Match"); match != "" && match != "*" && strings.Trim(match, `"`) != etag {
		return &httpError{http.StatusPreconditionFailed, "conditionNotMet", "Precondition check failed."}
	}
	return nil
}

// changed is a resource with what a request changes of it: some of its fields (a patch), or all that a client may
// set. Of a patch null removes a field, and labels are patched one by one. fixed are the fields that stay in any
// case.
func changed[T any](old *T, change map[string]any, fixed []string, patch bool) (*T, error) {
	b, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := decodeNumbers(b, &fields); err != nil {
		return nil, err
	}
	if !patch {
		maps.DeleteFunc(fields, func(key string, _ any) bool { return !slices.Contains(fixed, key) })
	}
	for key, v := range change {
		if slices.Contains(fixed, key) {
			continue
		}
		switch v := v.(type) {
		case nil:
			delete(fields, key)
		case map[string]any:
			if before, ok := fields[key].(map[string]any); ok && key == "labels" {
				v = labels(before, v)
			}
			fields[key] = v
		default:
			fields[key] = v
		}
	}
	if b, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	def := new(T)
	if err := unmarshal(b, def); err != nil {
		return nil, badRequest("Invalid resource: " + err.Error())
	}
	return def, nil
}

// labels patches labels one by one; null removes one.
func labels(old, change map[string]any) map[string]any {
	out := maps.Clone(old)
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}
