package rest

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// keptJobs is how many finished jobs are remembered; older ones are forgotten with their results.
const keptJobs = 100

// jobs remembers query jobs and their results. Results lie in one file a job, a JSON line a row.
type jobs struct {
	dir string

	mu    sync.Mutex
	byID  map[string]*job
	order []string
}

type job struct {
	def     *bq.Job
	columns []*row.Column
	rows    int64
	path    string
	marks   []int64 // file position of every markEvery'th row
}

const markEvery = 256

func newJobs(dir string) (*jobs, error) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	return &jobs{dir: dir, byID: map[string]*job{}}, nil
}

func (j *jobs) close() error { return os.RemoveAll(j.dir) }

func key(project, id string) string { return project + "/" + id }

func (j *jobs) find(project, id string) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if found := j.byID[key(project, id)]; found != nil {
		return found, nil
	}
	return nil, &httpError{404, "notFound", "Not found: Job " + project + ":" + id}
}

// add remembers a finished job and forgets the oldest beyond keptJobs.
func (j *jobs) add(done *job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := key(done.def.JobReference.ProjectId, done.def.JobReference.JobId)
	if j.byID[k] != nil {
		return errors.Join(&httpError{409, "duplicate", "Already Exists: Job " + k}, done.forget())
	}
	j.byID[k] = done
	j.order = append(j.order, k)
	if len(j.order) <= keptJobs {
		return nil
	}
	oldest := j.byID[j.order[0]]
	delete(j.byID, j.order[0])
	j.order = j.order[1:]
	return oldest.forget()
}

func (j *jobs) list() []*bq.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []*bq.Job
	for _, v := range slices.Backward(j.order) {
		out = append(out, j.byID[v].def)
	}
	return out
}

func (j *jobs) remove(project, id string) error {
	found, err := j.find(project, id)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.byID, key(project, id))
	j.order = slices.DeleteFunc(j.order, func(k string) bool { return k == key(project, id) })
	return found.forget()
}

func (j *job) forget() error {
	if j.path == "" {
		return nil
	}
	return os.Remove(j.path)
}

// results writes a job's rows as they come.
type results struct {
	job  *job
	file *os.File
	w    *bufio.Writer
	at   int64
	line []byte
}

func (j *jobs) results(done *job) (*results, error) {
	file, err := os.CreateTemp(j.dir, "job-*")
	if err != nil {
		return nil, err
	}
	done.path = filepath.Clean(file.Name())
	return &results{job: done, file: file, w: bufio.NewWriterSize(file, 1<<18)}, nil
}

func (r *results) add(record row.Record) error {
	if r.job.rows%markEvery == 0 {
		r.job.marks = append(r.job.marks, r.at)
	}
	r.line = append(row.AppendObject(r.line[:0], r.job.columns, record, row.Query), '\n')
	n, err := r.w.Write(r.line)
	r.at += int64(n)
	r.job.rows++
	return err
}

func (r *results) close() error { return errors.Join(r.w.Flush(), r.file.Close()) }

// read calls page with a function that gives the job's rows from a row on.
func (j *job) read(start int64, page func(next func() (row.Record, error)) error) error {
	if start >= j.rows {
		return page(func() (row.Record, error) { return nil, nil })
	}
	file, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(j.marks[start/markEvery], 0); err != nil {
		return err
	}
	r := bufio.NewReaderSize(file, 1<<18)
	at := start / markEvery * markEvery
	for ; at < start; at++ {
		if _, err := readLine(r); err != nil {
			return err
		}
	}
	return page(func() (row.Record, error) {
		if at == j.rows {
			return nil, nil
		}
		at++
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		return row.ParseRecord(j.columns, line)
	})
}

func readLine(r *bufio.Reader) ([]byte, error) { return r.ReadBytes('\n') }
