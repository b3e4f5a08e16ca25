package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/waybill-data/waybill/sandbox/internal/admin"
)

// maxRequest bounds a request, in bytes: as much as srfake takes of one.
const maxRequest = 1 << 20

// forms makes up for what clients ask of a registry and srfake does not know: protobuf schemas in either form, and
// GUIDs.
type forms struct{ fake *srfake.Registry }

// wrap puts the forms around srfake.
func (f forms) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if err := f.asText(r); err != nil {
				admin.Respond(w, http.StatusUnprocessableEntity, map[string]any{
					"error_code": 42201, "message": "Invalid schema: " + err.Error(),
				})
				return
			}
		}
		held := &heldResponse{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		var out map[string]any
		if held.status == http.StatusOK && json.Unmarshal(held.body, &out) == nil {
			if err := f.complete(out, r, next); err != nil {
				admin.Respond(w, http.StatusUnprocessableEntity,
					map[string]any{"error_code": 42201, "message": err.Error()})
				return
			}
			if b, err := json.Marshal(out); err == nil {
				held.body = b
			}
		}
		held.release()
	})
}

// asText brings a protobuf schema that a request carries as a descriptor into its text.
func (f forms) asText(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1)) // one more: srfake says that it is too large
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var given struct {
		Type       string               `json:"schemaType"`
		Schema     string               `json:"schema"`
		References []sr.SchemaReference `json:"references"`
	}
	var fields map[string]any
	wrong := errors.Join(json.Unmarshal(body, &given), json.Unmarshal(body, &fields))
	if wrong != nil || given.Type != "PROTOBUF" {
		return nil //nolint:nilerr // srfake says what is wrong with JSON
	}
	file, ok := descriptorOf(given.Schema)
	if !ok {
		return nil
	}
	if fields["schema"], err = text(f.fake, file, given.References); err != nil {
		return err
	}
	if body, err = json.Marshal(fields); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// complete gives a response what its client asks for.
func (f forms) complete(out map[string]any, r *http.Request, next http.Handler) error {
	if schema, ok := out["schema"].(string); ok && out["schemaType"] == "PROTOBUF" &&
		r.URL.Query().Get("format") == "serialized" {
		var references []sr.SchemaReference
		if list, ok := out["references"]; ok {
			b, err := json.Marshal(list)
			if err == nil {
				err = json.Unmarshal(b, &references)
			}
			if err != nil {
				return err
			}
		}
		b, err := serialized(f.fake, schema, references)
		if err != nil {
			return fmt.Errorf("the schema has no serialized form: %w", err)
		}
		out["schema"] = b
	}
	if _, named := out["guid"]; named {
		return nil
	}
	id, registered := out["id"].(float64)
	if path, ok := strings.CutPrefix(r.URL.Path, "/schemas/ids/"); ok {
		_, err := fmt.Sscanf(path, "%g", &id)
		registered = err == nil && !strings.Contains(path, "/")
	}
	if registered {
		f.addGUID(out, int(id), next)
	}
	return nil
}

// addGUID names a schema that srfake gives by its id alone.
func (f forms) addGUID(out map[string]any, id int, next http.Handler) {
	path := fmt.Sprintf("/schemas/ids/%d/versions", id)
	request, err := http.NewRequest(http.MethodGet, path, http.NoBody) //nolint:noctx // it goes nowhere
	if err != nil {
		return // cannot be: the path is well formed
	}
	held := &heldResponse{ResponseWriter: nowhere{}, status: http.StatusOK}
	next.ServeHTTP(held, request)
	var places []sr.SubjectSchema
	if json.Unmarshal(held.body, &places) != nil {
		return // a schema without a version that is not deleted
	}
	for _, place := range places {
		if s, ok := f.fake.GetSchema(place.Subject, place.Version); ok && s.GUID != "" {
			out["guid"] = s.GUID
			return
		}
	}
}

// nowhere is where a response goes that is read from what holds it.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
