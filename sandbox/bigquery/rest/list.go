package rest

import (
	"net/http"
)

// part is the part of a list that a client asks for with pageToken and a parameter that bounds it, maxResults or
// pageSize, and the token of what follows. Without a bound it is the whole list.
func part[T any](r *http.Request, bound string, all []T) (some []T, next string, err error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, "", err
	}
	most, err := number(r, bound, 0)
	if err != nil {
		return nil, "", err
	}
	some = all[min(p.start, int64(len(all))):]
	if most > 0 && most < int64(len(some)) {
		some, next = some[:most], pageToken(p.start+most)
	}
	return some, next, nil
}
