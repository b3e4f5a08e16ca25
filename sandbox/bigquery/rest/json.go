package rest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// maxBody bounds a request's JSON, in bytes, as it is after decompression. The service takes 10 MB.
const maxBody = 32 << 20

// overridden serves requests that carry another method than their own in X-HTTP-Method-Override: Java has no PATCH,
// and sends POST.
func overridden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("X-HTTP-Method-Override"); r.Method == http.MethodPost && method != "" {
			r.Method = strings.ToUpper(method)
		}
		next.ServeHTTP(w, r)
	})
}

// inflated serves requests whose bodies are compressed, as Java's client sends all of them.
func inflated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch encoding := r.Header.Get("Content-Encoding"); encoding {
		case "", "identity":
		case "gzip":
			body, err := gzip.NewReader(r.Body)
			if err != nil {
				fail(w, badRequest("The request's body is not gzip: "+err.Error()))
				return
			}
			r.Body = body
		default:
			fail(w, badRequest("The sandbox takes bodies with Content-Encoding gzip or none, not "+encoding))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// decode reads a request's JSON, once for each of the values given.
func decode(r *http.Request, into ...any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	for _, one := range into {
		if err := unmarshal(body, one); err != nil {
			return badRequest("Invalid JSON payload received: " + err.Error())
		}
	}
	return nil
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &httpError{
			http.StatusRequestEntityTooLarge, "uploadTooLarge",
			fmt.Sprintf("Request payload size exceeds the limit: %d bytes.", maxBody),
		}
	}
	if err != nil {
		return nil, badRequest("The request's body cannot be read: " + err.Error())
	}
	return body, nil
}

// unmarshal reads JSON into one of the API's Go types, which are stricter than the service: they take a 64-bit
// integer as text only, and the service takes a number as well. Numbers and booleans may come as text, and the other
// way round.
func unmarshal(b []byte, into any) error {
	strict := decodeNumbers(b, into)
	if strict == nil {
		return nil
	}
	var loose any
	if err := decodeNumbers(b, &loose); err != nil {
		return err
	}
	target := reflect.ValueOf(into).Elem()
	target.SetZero()
	b, err := json.Marshal(conform(loose, target.Type(), false))
	if err != nil {
		return err
	}
	return decodeNumbers(b, into)
}

// decodeNumbers unmarshals with numbers as they stand where the target is an any.
func decodeNumbers(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// conform brings a JSON value into the form that a Go type takes; quoted is for fields with the tag ",string".
func conform(v any, t reflect.Type, quoted bool) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		return conformObject(v, t)
	case []any:
		if t.Kind() == reflect.Slice {
			for i := range v {
				v[i] = conform(v[i], t.Elem(), quoted)
			}
		}
	case json.Number:
		if quoted || t.Kind() == reflect.String {
			return v.String()
		}
	case bool:
		if t.Kind() == reflect.String {
			return strconv.FormatBool(v)
		}
	case string:
		return conformText(v, t, quoted)
	}
	return v
}

func conformObject(v map[string]any, t reflect.Type) any {
	switch t.Kind() {
	case reflect.Map:
		for key := range v {
			v[key] = conform(v[key], t.Elem(), false)
		}
	case reflect.Struct:
		for field := range t.Fields() {
			if field.Anonymous {
				conformObject(v, field.Type)
				continue
			}
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if one, given := v[name]; given {
				v[name] = conform(one, field.Type, strings.Contains(options, "string"))
			}
		}
	}
	return v
}

func conformText(v string, t reflect.Type, quoted bool) any {
	switch t.Kind() {
	case reflect.Bool:
		if b, err := strconv.ParseBool(strings.ToLower(v)); err == nil {
			return b
		}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64, reflect.Float64:
		if _, err := strconv.ParseFloat(v, 64); err == nil && !quoted {
			return json.Number(v)
		}
	}
	return v
}
