package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxUploads is how many uploads can be under way; the oldest beyond them is given up.
const maxUploads = 100

// uploads are the resumable uploads under way (https://cloud.google.com/bigquery/docs/reference/api-uploads): a job's
// configuration comes first, and its data in one request or several.
type uploads struct {
	dir string

	mu    sync.Mutex
	byID  map[string]*upload
	order []string
}

type upload struct {
	mu      sync.Mutex
	project string
	request jobRequest
	file    *os.File
	size    int64
	done    bool
}

func (u *uploads) add(one *upload) (id string, err error) {
	if one.file, err = os.CreateTemp(u.dir, "upload-*"); err != nil {
		return "", err
	}
	id = rand.Text()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = map[string]*upload{}
	}
	u.byID[id] = one
	if u.order = append(u.order, id); len(u.order) > maxUploads {
		return id, u.drop(u.order[0])
	}
	return id, nil
}

// drop forgets an upload and its data; u.mu is held.
func (u *uploads) drop(id string) error {
	one := u.byID[id]
	if one == nil {
		return nil
	}
	delete(u.byID, id)
	u.order = slices.DeleteFunc(u.order, func(other string) bool { return other == id })
	return errors.Join(one.file.Close(), os.Remove(one.file.Name()))
}

func (u *uploads) find(id string) *upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.byID[id]
}

func (u *uploads) forget(id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.drop(id)
}

func (u *uploads) close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var errs []error
	for id := range u.byID {
		errs = append(errs, u.drop(id))
	}
	return errors.Join(errs...)
}

// serveUpload serves POST and PUT of /upload/bigquery/v2/projects/{project}/jobs.
func (a *api) serveUpload(w http.ResponseWriter, r *http.Request) {
	if a.struck(w, r) {
		return
	}
	var err error
	switch kind := r.URL.Query().Get("uploadType"); {
	case r.Method == http.MethodPut:
		err = a.resume(w, r)
	case kind == "multipart":
		err = a.multipart(w, r)
	case kind == "resumable":
		err = a.beginUpload(w, r)
	default:
		err = badRequest("The sandbox takes uploads of uploadType multipart and resumable, not " + strconv.Quote(kind))
	}
	if err != nil {
		fail(w, err)
	}
}

// multipart takes a job and its data in one request.
func (a *api) multipart(w http.ResponseWriter, r *http.Request) error {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return badRequest("A multipart upload needs a Content-Type with a boundary")
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	head, err := parts.NextPart()
	if err != nil {
		return badRequest("Invalid multipart upload: " + err.Error())
	}
	body, err := io.ReadAll(io.LimitReader(head, maxBody))
	if err != nil {
		return badRequest("Invalid multipart upload: " + err.Error())
	}
	one := &upload{project: r.PathValue("project")}
	if err := one.request.read(body); err != nil {
		return err
	}
	media, err := parts.NextPart()
	if err != nil {
		return badRequest("Invalid multipart upload: " + err.Error())
	}
	id, err := a.uploads.add(one)
	if err != nil {
		return err
	}
	if _, err = io.Copy(one.file, media); err == nil {
		err = a.finish(r.Context(), w, one)
	}
	return errors.Join(err, a.uploads.forget(id))
}

// beginUpload takes a job whose data comes later, and says where to send it.
func (a *api) beginUpload(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	one := &upload{project: r.PathValue("project")}
	if err := one.request.read(body); err != nil {
		return err
	}
	id, err := a.uploads.add(one)
	if err != nil {
		return err
	}
	w.Header().Set("Location", fmt.Sprintf("http://%s%s?uploadType=resumable&upload_id=%s", r.Host, r.URL.Path, id))
	w.WriteHeader(http.StatusOK)
	return nil
}

// resume takes a piece of an upload, or says how much of it is there. The last piece runs the job.
func (a *api) resume(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("upload_id")
	one := a.uploads.find(id)
	if one == nil {
		return &httpError{http.StatusNotFound, "notFound", "No such upload: " + id}
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.done {
		return &httpError{http.StatusNotFound, "notFound", "The upload is complete: " + id}
	}
	from, total, err := contentRange(r.Header.Get("Content-Range"), one.size)
	if err != nil {
		return err
	}
	if from != one.size {
		return badRequest(fmt.Sprintf("The upload has %d bytes, and this piece starts at %d", one.size, from))
	}
	n, err := io.Copy(one.file, r.Body)
	one.size += n
	if err != nil {
		return badRequest("The upload cannot be read: " + err.Error())
	}
	if total < 0 || one.size < total {
		more(w, r, one.size)
		return nil
	}
	one.done = true
	return errors.Join(a.finish(r.Context(), w, one), a.uploads.forget(id))
}

// more says that an upload is not complete. Clients that cannot tell this use of 308 from a redirection ask for
// another one.
func more(w http.ResponseWriter, r *http.Request, size int64) {
	if size > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", size-1))
	}
	if strings.EqualFold(r.Header.Get("X-GUploader-No-308"), "yes") {
		w.Header().Set("X-Http-Status-Code-Override", "308")
		w.WriteHeader(http.StatusOK)
		return
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}

// contentRange reads "bytes 0-41/42", "bytes 0-41/*", "bytes */42" and "bytes */*"; total is -1 where it is not
// known. Without the header the whole upload is in one request.
func contentRange(header string, size int64) (from, total int64, err error) {
	if header == "" {
		return size, size, nil
	}
	bad := badRequest("Invalid Content-Range: " + header)
	span, whole, ok := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
	if !ok {
		return 0, 0, bad
	}
	total = -1
	if whole != "*" {
		if total, err = strconv.ParseInt(whole, 10, 64); err != nil {
			return 0, 0, bad
		}
	}
	if span == "*" {
		return size, total, nil
	}
	first, _, ok := strings.Cut(span, "-")
	if from, err = strconv.ParseInt(first, 10, 64); err != nil || !ok {
		return 0, 0, bad
	}
	return from, total, nil
}

// finish runs the job of a complete upload, and returns it.
func (a *api) finish(ctx context.Context, w http.ResponseWriter, one *upload) error {
	config := one.request.Configuration
	if config.Load == nil {
		return badRequest("The sandbox takes uploads for load jobs only")
	}
	reference := a.reference(one.project, one.request.JobReference)
	out, err := a.settle(reference, config, "load", func() (*job, error) {
		return a.load(ctx, reference, config, one.file)
	})
	if err != nil {
		return err
	}
	return a.respond(w, out)
}
