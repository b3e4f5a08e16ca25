package rest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// Row access policies are kept and shown. They filter nothing: the sandbox has no callers that it could tell apart, and
// reads for all of them as for one with the filter TRUE. Writing takes no policy
// (https://cloud.google.com/bigquery/docs/using-row-level-security-with-features).

// policyID is what the ID of a policy may be.
var policyID = regexp.MustCompile(`^[A-Za-z0-9_]{1,256}$`)

func (a *api) listPolicies(r *http.Request) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	some, next, err := part(r, "pageSize", t.Policies())
	if err != nil {
		return nil, err
	}
	out := &bq.ListRowAccessPoliciesResponse{NextPageToken: next}
	for _, policy := range some {
		out.RowAccessPolicies = append(out.RowAccessPolicies, shownPolicy(policy))
	}
	return out, nil
}

// shownPolicy is a policy without what is for input only.
func shownPolicy(policy *bq.RowAccessPolicy) *bq.RowAccessPolicy {
	shown := *policy
	shown.Grantees = nil
	return &shown
}

func (a *api) getPolicy(r *http.Request) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	at := policyAt(t.Policies(), r.PathValue("policy"))
	if at < 0 {
		return nil, noPolicy(t, r.PathValue("policy"))
	}
	return shownPolicy(t.Policies()[at]), nil
}

func policyAt(policies []*bq.RowAccessPolicy, id string) int {
	return slices.IndexFunc(policies, func(p *bq.RowAccessPolicy) bool {
		return p.RowAccessPolicyReference.PolicyId == id
	})
}

func noPolicy(t *store.Table, id string) error {
	return &store.Error{
		Code: codes.NotFound, Entity: t.Name(),
		Message: fmt.Sprintf("Not found: Row access policy %s on table %s", id, t.ID()),
	}
}

func (a *api) insertPolicy(r *http.Request) (any, error) { return a.changePolicy(r, "") }

func (a *api) updatePolicy(r *http.Request) (any, error) {
	return a.changePolicy(r, r.PathValue("policy"))
}

// changePolicy makes a policy, or replaces the one of an ID.
func (a *api) changePolicy(r *http.Request, id string) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	var in bq.RowAccessPolicy
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	create := id == ""
	if create && in.RowAccessPolicyReference != nil {
		id = in.RowAccessPolicyReference.PolicyId
	}
	policy, err := a.setPolicy(t, id, &in, create, !create)
	if err != nil {
		return nil, err
	}
	return shownPolicy(policy), nil
}

// setPolicy puts a policy into a table: a new one, in place of one that is there, or either.
func (a *api) setPolicy(t *store.Table, id string, in *bq.RowAccessPolicy, create, replace bool) (
	policy *bq.RowAccessPolicy, err error,
) {
	if !policyID.MatchString(id) {
		return nil, badRequest("Invalid row access policy ID " + strconv.Quote(id) +
			": letters, digits and underscores, at most 256")
	}
	ref := t.Definition().TableReference
	_, err = a.Engine.Prepare(query.Request{
		SQL:     "SELECT 1 AS x FROM `" + ref.TableId + "` WHERE (" + in.FilterPredicate + "\n)",
		Project: ref.ProjectId, Dataset: ref.DatasetId,
	})
	if err != nil {
		return nil, badRequest("Invalid filter predicate of row access policy " + id + ": " + err.Error())
	}
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	err = t.UpdatePolicies(func(old []*bq.RowAccessPolicy) ([]*bq.RowAccessPolicy, error) {
		made := *in
		policy = &made
		policy.CreationTime, policy.LastModifiedTime, policy.Etag = now, now, etag()
		policy.RowAccessPolicyReference = &bq.RowAccessPolicyReference{
			ProjectId: ref.ProjectId, DatasetId: ref.DatasetId, TableId: ref.TableId, PolicyId: id,
		}
		at := policyAt(old, id)
		switch {
		case at < 0 && !create:
			return nil, noPolicy(t, id)
		case at < 0:
			return append(slices.Clone(old), policy), nil
		case !replace:
			return nil, &store.Error{
				Code: codes.AlreadyExists, Entity: t.Name(),
				Message: fmt.Sprintf("Already Exists: Row access policy %s on table %s", id, t.ID()),
			}
		}
		all := slices.Clone(old)
		policy.CreationTime, all[at] = old[at].CreationTime, policy
		return all, nil
	})
	return policy, err
}

func (a *api) deletePolicy(r *http.Request) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	return nil, dropPolicy(t, r.PathValue("policy"))
}

func dropPolicy(t *store.Table, id string) error {
	return t.UpdatePolicies(func(old []*bq.RowAccessPolicy) ([]*bq.RowAccessPolicy, error) {
		at := policyAt(old, id)
		if at < 0 {
			return nil, noPolicy(t, id)
		}
		return slices.Delete(slices.Clone(old), at, at+1), nil
	})
}

// runPolicy runs a statement about row access policies, and says of which type it is.
func (a *api) runPolicy(p *query.Policy, request query.Request) (kind string, err error) {
	ref, err := referenceOf(p.Table, request)
	if err != nil {
		return "", err
	}
	t, err := a.Store.Table(ref.ProjectId, ref.DatasetId, ref.TableId)
	if err != nil {
		return "", err
	}
	there := policyAt(t.Policies(), p.Name) >= 0
	switch {
	case p.Drop && p.Name == "":
		return "DROP_ALL_ROW_ACCESS_POLICIES", t.UpdatePolicies(
			func([]*bq.RowAccessPolicy) ([]*bq.RowAccessPolicy, error) { return nil, nil })
	case p.Drop && p.IfThere && !there:
		return "DROP_ROW_ACCESS_POLICY", nil
	case p.Drop:
		return "DROP_ROW_ACCESS_POLICY", dropPolicy(t, p.Name)
	case p.IfMissing && there:
		return "CREATE_ROW_ACCESS_POLICY", nil
	}
	_, err = a.setPolicy(t, p.Name, &bq.RowAccessPolicy{FilterPredicate: p.Filter, Grantees: p.Grantees}, true,
		p.Replace)
	return "CREATE_ROW_ACCESS_POLICY", err
}
