package rest

import (
	"net/http"
)

// part is the part of a list that a client asks for with maxResults and pageToken, and the token of what follows.
// Without maxResults it is the whole list.
func part[T any](r *http.Request, all []T) (some []T, next string, err error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, "", err
	}
	some = all[min(p.start, int64(len(all))):]
	if p.most > 0 && p.most < int64(len(some)) {
		some, next = some[:p.most], pageToken(p.start+p.most)
	}
	return some, next, nil
}
