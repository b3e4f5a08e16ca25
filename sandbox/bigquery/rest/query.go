package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// query is jobs.query: it runs the query and answers with the first page.
func (a *api) query(r *http.Request) (any, error) {
	var in bq.QueryRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.UseLegacySql != nil && *in.UseLegacySql {
		return nil, badRequest("The sandbox does not support legacy SQL")
	}
	project := r.PathValue("project")
	request, err := requestOf(project, in.Query, in.DefaultDataset, in.QueryParameters)
	if err != nil {
		return nil, err
	}
	reference := &bq.JobReference{ProjectId: project, JobId: "job_" + rand.Text(), Location: a.Location}
	p := page{most: in.MaxResults, micros: in.FormatOptions != nil && in.FormatOptions.UseInt64Timestamp}
	if p.most == 0 {
		p.most = -1
	}
	if in.DryRun {
		statement, err := a.Engine.Prepare(request)
		if err != nil {
			return nil, err
		}
		return &bq.QueryResponse{Kind: "bigquery#queryResponse", JobComplete: true, Schema: row.Schema(statement.Columns), JobReference: reference}, nil
	}
	done, err := a.run(r.Context(), request, reference, nil)
	if err != nil {
		return nil, err
	}
	return done.page(p, "bigquery#queryResponse")
}

func requestOf(project, sql string, dataset *bq.DatasetReference, parameters []*bq.QueryParameter) (query.Request, error) {
	out := query.Request{SQL: sql, Project: project, Parameters: map[string]query.Parameter{}}
	if dataset != nil {
		out.Dataset = dataset.DatasetId
		if dataset.ProjectId != "" {
			out.Project = dataset.ProjectId
		}
	}
	for i, p := range parameters {
		name := p.Name
		if name == "" {
			name = "?" + strconv.Itoa(i+1)
		}
		if p.ParameterType == nil || p.ParameterType.ArrayType != nil || p.ParameterType.StructTypes != nil {
			return out, badRequest("The sandbox does not support array and struct query parameters: " + name)
		}
		one := query.Parameter{Type: p.ParameterType.Type}
		if p.ParameterValue != nil && !isNull(p.ParameterValue) {
			one.Value = &p.ParameterValue.Value
		}
		out.Parameters[name] = one
	}
	return out, nil
}

func isNull(v *bq.QueryParameterValue) bool {
	return slices.Contains(v.NullFields, "Value")
}

// run answers a query into a finished job. A query that fails is an error, and no job.
func (a *api) run(ctx context.Context, request query.Request, reference *bq.JobReference, config *bq.JobConfigurationQuery) (*job, error) {
	begin := time.Now()
	view, err := query.ParseView(request.SQL)
	if err != nil {
		return nil, err
	}
	if view != nil {
		done := &job{def: a.finished(request, reference, config, begin)}
		done.def.Statistics.Query = &bq.JobStatistics2{StatementType: "CREATE_VIEW"}
		if err := a.createView(view, request); err != nil {
			return nil, err
		}
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
	done.def = a.finished(request, reference, config, begin)
	done.def.Statistics.Query = &bq.JobStatistics2{StatementType: "SELECT", Schema: row.Schema(statement.Columns)}
	return done, a.jobs.add(done)
}

// finished is a job that is done, but for what its statement was.
func (a *api) finished(request query.Request, reference *bq.JobReference, config *bq.JobConfigurationQuery, begin time.Time) *bq.Job {
	if config == nil {
		config = &bq.JobConfigurationQuery{Query: request.SQL}
	}
	return &bq.Job{
		Kind: "bigquery#job", Id: reference.ProjectId + ":" + reference.Location + "." + reference.JobId, JobReference: reference, Etag: etag(),
		Configuration: &bq.JobConfiguration{JobType: "QUERY", Query: config}, Status: &bq.JobStatus{State: "DONE"},
		Statistics: &bq.JobStatistics{CreationTime: begin.UnixMilli(), StartTime: begin.UnixMilli(), EndTime: time.Now().UnixMilli()},
	}
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
		"kind": kind, "schema": row.Schema(j.columns), "jobReference": j.def.JobReference, "jobComplete": true, "cacheHit": false,
		"totalRows": strconv.FormatInt(j.rows, 10), "totalBytesProcessed": "0",
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

// insertJob is jobs.insert of a query. The job is done when it answers; a query that fails is a job that says so.
func (a *api) insertJob(r *http.Request) (any, error) {
	var in bq.Job
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Configuration == nil || in.Configuration.Query == nil {
		return nil, badRequest("The sandbox runs query jobs only, no load, copy or extract jobs")
	}
	config := in.Configuration.Query
	switch {
	case config.UseLegacySql != nil && *config.UseLegacySql:
		return nil, badRequest("The sandbox does not support legacy SQL")
	case config.DestinationTable != nil:
		return nil, badRequest("The sandbox is read-only to queries: it does not support a destination table")
	}
	project := r.PathValue("project")
	reference := &bq.JobReference{ProjectId: project, JobId: "job_" + rand.Text(), Location: a.Location}
	if in.JobReference != nil && in.JobReference.JobId != "" {
		reference.JobId = in.JobReference.JobId
	}
	request, err := requestOf(project, config.Query, config.DefaultDataset, config.QueryParameters)
	if err != nil {
		return nil, err
	}
	if in.Configuration.DryRun {
		statement, err := a.Engine.Prepare(request)
		if err != nil {
			return nil, err
		}
		return &bq.Job{
			Kind: "bigquery#job", JobReference: reference, Configuration: in.Configuration, Status: &bq.JobStatus{State: "DONE"},
			Statistics: &bq.JobStatistics{Query: &bq.JobStatistics2{StatementType: "SELECT", Schema: row.Schema(statement.Columns)}},
		}, nil
	}
	done, err := a.run(r.Context(), request, reference, config)
	if err == nil {
		return done.def, nil
	}
	if wrong, ok := errors.AsType[*httpError](err); ok {
		return nil, wrong
	}
	e := translate(err)
	failure := &bq.ErrorProto{Reason: e.reason, Message: e.message, Location: "query"}
	failed := &job{def: &bq.Job{
		Kind: "bigquery#job", Id: reference.ProjectId + ":" + reference.Location + "." + reference.JobId, JobReference: reference,
		Configuration: in.Configuration, Statistics: &bq.JobStatistics{CreationTime: time.Now().UnixMilli()},
		Status: &bq.JobStatus{State: "DONE", ErrorResult: failure, Errors: []*bq.ErrorProto{failure}},
	}}
	return failed.def, a.jobs.add(failed)
}

func (a *api) getJob(r *http.Request) (any, error) {
	j, err := a.jobs.find(r.PathValue("project"), r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	return j.def, nil
}

func (a *api) listJobs(r *http.Request) (any, error) {
	out := &bq.JobList{Kind: "bigquery#jobList"}
	for _, def := range a.jobs.list() {
		if def.JobReference.ProjectId == r.PathValue("project") {
			out.Jobs = append(out.Jobs, &bq.JobListJobs{
				Id: def.Id, Kind: def.Kind, JobReference: def.JobReference, State: def.Status.State,
				Status: def.Status, Statistics: def.Statistics, Configuration: def.Configuration, ErrorResult: def.Status.ErrorResult,
			})
		}
	}
	return out, nil
}

// cancelJob does nothing: a job is done when its client first hears of it.
func (a *api) cancelJob(r *http.Request) (any, error) {
	j, err := a.jobs.find(r.PathValue("project"), r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	return &bq.JobCancelResponse{Kind: "bigquery#jobCancelResponse", Job: j.def}, nil
}

func (a *api) deleteJob(r *http.Request) (any, error) {
	return nil, a.jobs.remove(r.PathValue("project"), r.PathValue("job"))
}
