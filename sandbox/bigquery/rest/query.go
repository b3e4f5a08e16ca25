package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// query is jobs.query: it runs the query and returns the first page.
func (a *api) query(r *http.Request) (any, error) {
	var in bq.QueryRequest
	var more struct {
		QueryParameters []query.Parameter `json:"queryParameters"`
	}
	if err := decode(r, &in, &more); err != nil {
		return nil, err
	}
	if in.UseLegacySql != nil && *in.UseLegacySql {
		return nil, badRequest("The sandbox does not support legacy SQL")
	}
	project := r.PathValue("project")
	request := requestOf(project, in.Query, in.DefaultDataset, more.QueryParameters)
	reference := &bq.JobReference{ProjectId: project, JobId: "job_" + rand.Text(), Location: location}
	p := page{most: in.MaxResults, micros: in.FormatOptions != nil && in.FormatOptions.UseInt64Timestamp}
	if p.most == 0 {
		p.most = -1
	}
	if in.DryRun {
		statement, err := a.Engine.Prepare(request)
		if err != nil {
			return nil, err
		}
		return &bq.QueryResponse{
			Kind: "bigquery#queryResponse", JobComplete: true, Schema: row.Schema(statement.Columns),
			JobReference: reference,
		}, nil
	}
	done, err := a.run(r.Context(), request, reference, nil)
	if err != nil {
		return nil, err
	}
	return done.page(p, "bigquery#queryResponse")
}

func requestOf(project, sql string, dataset *bq.DatasetReference, parameters []query.Parameter) query.Request {
	out := query.Request{SQL: sql, Project: project, Parameters: parameters}
	if dataset != nil {
		out.Dataset = dataset.DatasetId
		if dataset.ProjectId != "" {
			out.Project = dataset.ProjectId
		}
	}
	return out
}

// run runs a query into a finished job. A query that fails is an error, and no job.
func (a *api) run(ctx context.Context, request query.Request, reference *bq.JobReference,
	config *bq.JobConfigurationQuery,
) (*job, error) {
	begin := time.Now()
	if config == nil {
		config = &bq.JobConfigurationQuery{Query: request.SQL}
	}
	kind, err := a.define(request)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		done := &job{def: a.done(reference, &bq.JobConfiguration{JobType: "QUERY", Query: config}, begin)}
		done.def.Statistics.Query = &bq.JobStatistics2{StatementType: kind}
		return done, a.jobs.add(done)
	}
	statement, err := a.Engine.Prepare(request)
	if err != nil {
		return nil, err
	}
	done := &job{columns: statement.Columns}
	results, err := a.jobs.results(done)
	if err != nil {
		return nil, err
	}
	err = errors.Join(statement.Run(ctx, results.add), results.close())
	if err != nil {
		return nil, errors.Join(err, done.forget())
	}
	done.def = a.done(reference, &bq.JobConfiguration{JobType: "QUERY", Query: config}, begin)
	done.def.Statistics.Query = &bq.JobStatistics2{StatementType: "SELECT", Schema: row.Schema(statement.Columns)}
	return done, a.jobs.add(done)
}

// define runs a statement that defines something, and says of which type it is; empty for a query.
func (a *api) define(request query.Request) (kind string, err error) {
	policy, err := query.ParsePolicy(request.SQL)
	if err != nil {
		return "", err
	}
	if policy != nil {
		return a.runPolicy(policy, request)
	}
	view, err := query.ParseView(request.SQL)
	if view == nil || err != nil {
		return "", err
	}
	return "CREATE_VIEW", a.createView(view, request)
}

// page is a page of a job's results as jobs.query and jobs.getQueryResults give it.
func (j *job) page(p page, kind string) (any, error) {
	var rows []byte
	var count int64
	var more bool
	err := j.read(p.start, func(next func() (row.Record, error)) (err error) {
		rows, count, more, err = p.fill(j.columns, next)
		return err
	})
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(map[string]any{
		"kind": kind, "schema": row.Schema(j.columns), "jobReference": j.def.JobReference, "jobComplete": true,
		"cacheHit": false, "totalRows": strconv.FormatInt(j.rows, 10), "totalBytesProcessed": "0",
	})
	if err != nil {
		return nil, err
	}
	out := head[:len(head)-1]
	if more {
		out = fmt.Appendf(out, `,"pageToken":%q`, pageToken(p.start+count))
	}
	out = append(append(out, `,"rows":`...), rows...)
	return raw(append(out, '}')), nil
}

func (a *api) queryResults(r *http.Request) (any, error) {
	j, err := a.jobs.find(r.PathValue("project"), r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	if e := j.def.Status.ErrorResult; e != nil {
		return nil, &httpError{http.StatusBadRequest, e.Reason, e.Message}
	}
	p, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	return j.page(p, "bigquery#getQueryResultsResponse")
}
