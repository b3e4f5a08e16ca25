package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// jobRequest is what jobs.insert takes.
type jobRequest struct {
	bq.Job
	parameters []query.Parameter
}

func (j *jobRequest) read(body []byte) error {
	var more struct {
		Configuration struct {
			Query struct {
				QueryParameters []query.Parameter `json:"queryParameters"`
			} `json:"query"`
		} `json:"configuration"`
	}
	if err := errors.Join(unmarshal(body, &j.Job), unmarshal(body, &more)); err != nil {
		return badRequest("Invalid JSON payload received: " + err.Error())
	}
	if j.Configuration == nil {
		return badRequest("Required parameter is missing: configuration")
	}
	j.parameters = more.Configuration.Query.QueryParameters
	return nil
}

// reference names the job: as its client does, or by chance.
func (a *api) reference(project string, given *bq.JobReference) *bq.JobReference {
	out := &bq.JobReference{ProjectId: project, JobId: "job_" + rand.Text(), Location: location}
	if given != nil && given.JobId != "" {
		out.JobId = given.JobId
	}
	return out
}

// insertJob is jobs.insert of a query. The job is done when it returns; a query that fails is a job that says so.
func (a *api) insertJob(r *http.Request) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	var in jobRequest
	if err := in.read(body); err != nil {
		return nil, err
	}
	config := in.Configuration.Query
	switch {
	case in.Configuration.Load != nil:
		return nil, badRequest("The sandbox loads what is uploaded with the job, nothing from sourceUris")
	case config == nil:
		return nil, badRequest("The sandbox runs query and load jobs, no copy and no extract jobs")
	case config.UseLegacySql != nil && *config.UseLegacySql:
		return nil, badRequest("The sandbox does not support legacy SQL")
	case config.DestinationTable != nil:
		return nil, badRequest("The sandbox is read-only to queries: it does not support a destination table")
	}
	reference := a.reference(r.PathValue("project"), in.JobReference)
	request := requestOf(reference.ProjectId, config.Query, config.DefaultDataset, in.parameters)
	if in.Configuration.DryRun {
		statement, err := a.Engine.Prepare(request)
		if err != nil {
			return nil, err
		}
		out := a.done(reference, in.Configuration, time.Now())
		out.Statistics.Query = &bq.JobStatistics2{StatementType: "SELECT", Schema: row.Schema(statement.Columns)}
		return out, nil
	}
	return a.settle(reference, in.Configuration, "query", func() (*job, error) {
		return a.run(r.Context(), request, reference, config)
	})
}

// settle runs a job and returns it. A job that fails is one that says so; a request that makes no job is an error.
func (a *api) settle(reference *bq.JobReference, config *bq.JobConfiguration, location string, run func() (*job,
	error),
) (any, error) {
	begin := time.Now()
	finished, err := run()
	if err == nil {
		return finished.def, nil
	}
	if wrong, ok := errors.AsType[*httpError](err); ok {
		return nil, wrong
	}
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	e := translate(err)
	failure := &bq.ErrorProto{Reason: e.reason, Message: e.message, Location: location}
	failed := &job{def: a.done(reference, config, begin)}
	failed.def.Status.ErrorResult, failed.def.Status.Errors = failure, []*bq.ErrorProto{failure}
	return failed.def, a.jobs.add(failed)
}

// done is a job that is done, but for what it did.
func (a *api) done(reference *bq.JobReference, config *bq.JobConfiguration, begin time.Time) *bq.Job {
	if config.JobType = "QUERY"; config.Load != nil {
		config.JobType = "LOAD"
	}
	return &bq.Job{
		Kind: "bigquery#job", Id: reference.ProjectId + ":" + reference.Location + "." + reference.JobId,
		JobReference: reference, Etag: etag(), Configuration: config, Status: &bq.JobStatus{State: "DONE"},
		Statistics: &bq.JobStatistics{
			CreationTime: begin.UnixMilli(), StartTime: begin.UnixMilli(), EndTime: time.Now().UnixMilli(),
		},
	}
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
	states := r.URL.Query()["stateFilter"]
	if len(states) > 0 && !slices.ContainsFunc(states, func(s string) bool { return strings.EqualFold(s, "done") }) {
		return out, nil // a job is done when its client first sees it
	}
	all := slices.DeleteFunc(a.jobs.list(), func(j *bq.Job) bool {
		return j.JobReference.ProjectId != r.PathValue("project")
	})
	some, next, err := part(r, "maxResults", all)
	if err != nil {
		return nil, err
	}
	out.NextPageToken = next
	for _, def := range some {
		out.Jobs = append(out.Jobs, &bq.JobListJobs{
			Id: def.Id, Kind: def.Kind, JobReference: def.JobReference, State: def.Status.State,
			Status: def.Status, Statistics: def.Statistics, Configuration: def.Configuration,
			ErrorResult: def.Status.ErrorResult,
		})
	}
	return out, nil
}

// cancelJob does nothing: a job is done when its client first sees it.
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
