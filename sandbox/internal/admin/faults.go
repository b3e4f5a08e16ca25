// Package admin serves what the parts of the sandbox have in common on its admin port.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// maxFault bounds a fault's JSON, in bytes.
const maxFault = 64 << 10

// Faults serves the faults of a part, of type F: GET lists them, POST adds the one in its body and returns it,
// DELETE removes all, or the one in ?id=. It returns JSON; an error is {"error": "…"} with status 400.
type Faults[F any] struct {
	List func() []F
	// Add puts a fault in force.
	Add func(F) (F, error)
	// Remove lifts the fault with an id, or all of them for an empty one, and says how many.
	Remove func(id string) (int, error)
}

// ServeHTTP implements http.Handler.
func (f Faults[F]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		Respond(w, http.StatusOK, f.List())
	case http.MethodPost:
		var fault F
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFault))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&fault)
		if err != nil {
			err = fmt.Errorf("%w: \"sandbox faults add --help\" has the fields", err)
		} else {
			fault, err = f.Add(fault)
		}
		respond(w, fault, err)
	case http.MethodDelete:
		n, err := f.Remove(r.URL.Query().Get("id"))
		respond(w, map[string]int{"removed": n}, err)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		Refuse(w, http.StatusMethodNotAllowed, "use GET, POST or DELETE")
	}
}

func respond(w http.ResponseWriter, out any, err error) {
	if err != nil {
		Refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	Respond(w, http.StatusOK, out)
}

// Respond sends JSON.
func Respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

// Refuse sends an error.
func Refuse(w http.ResponseWriter, status int, message string) {
	Respond(w, status, map[string]string{"error": message})
}

// Number reads the id of a fault that is a number; an empty one is 0.
func Number(id string) (int, error) {
	if id == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(id)
	if err != nil || n <= 0 {
		return 0, errors.New("id is not a positive number: " + id)
	}
	return n, nil
}
