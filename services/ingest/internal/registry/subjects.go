package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
)

// Subjects lists the subjects that a schema is a version of, in alphabetical order; none when the registry cannot tell:
// not all have this call. It waits while the registry is away; the error is that of ctx.
func (c *Client) Subjects(ctx context.Context, id int) ([]string, error) {
	what := fmt.Sprint("the subjects of schema id ", id)
	return wait(ctx, c, what, 0, func(ctx context.Context, node *sr.Client) ([]string, error) {
		versions, err := node.SchemaVersionsByID(ctx, id)
		if failure := (*sr.ResponseError)(nil); errors.As(err, &failure) &&
			(failure.StatusCode == http.StatusNotFound || failure.StatusCode == http.StatusMethodNotAllowed) {
			return nil, nil
		}
		var subjects []string
		for _, v := range versions {
			if !slices.Contains(subjects, v.Subject) {
				subjects = append(subjects, v.Subject)
			}
		}
		slices.Sort(subjects)
		return subjects, err
	})
}
