package rest

import (
	"net/http"
	"strconv"
	"time"

	bq "google.golang.org/api/bigquery/v2"
)

func (a *api) insertDataset(r *http.Request) (any, error) {
	var def bq.Dataset
	if err := decode(r, &def); err != nil {
		return nil, err
	}
	if def.DatasetReference == nil || def.DatasetReference.DatasetId == "" {
		return nil, badRequest("Required parameter is missing: datasetReference.datasetId")
	}
	def.DatasetReference.ProjectId = r.PathValue("project")
	now := time.Now().UnixMilli()
	def.Kind, def.Id = "bigquery#dataset", def.DatasetReference.ProjectId+":"+def.DatasetReference.DatasetId
	def.CreationTime, def.LastModifiedTime, def.Etag = now, now, etag()
	if def.Location == "" {
		def.Location = location
	}
	if err := a.Store.CreateDataset(&def); err != nil {
		return nil, err
	}
	return &def, nil
}

func (a *api) getDataset(r *http.Request) (any, error) {
	return a.Store.Dataset(r.PathValue("project"), r.PathValue("dataset"))
}

func (a *api) listDatasets(r *http.Request) (any, error) {
	all, next, err := part(r, "maxResults", a.Store.Datasets(r.PathValue("project")))
	if err != nil {
		return nil, err
	}
	out := &bq.DatasetList{Kind: "bigquery#datasetList", NextPageToken: next}
	for _, d := range all {
		out.Datasets = append(out.Datasets, &bq.DatasetListDatasets{
			Kind: d.Kind, Id: d.Id, DatasetReference: d.DatasetReference,
			FriendlyName: d.FriendlyName, Labels: d.Labels, Location: d.Location,
		})
	}
	return out, nil
}

func (a *api) patchDataset(r *http.Request) (any, error) { return a.changeDataset(r, true) }

func (a *api) updateDataset(r *http.Request) (any, error) { return a.changeDataset(r, false) }

// fixedOfDataset are what a client cannot change of a dataset.
var fixedOfDataset = []string{
	"kind", "id", "etag", "selfLink", "datasetReference", "creationTime", "lastModifiedTime", "location", "type",
}

func (a *api) changeDataset(r *http.Request, patch bool) (any, error) {
	var change map[string]any
	if err := decode(r, &change); err != nil {
		return nil, err
	}
	return a.Store.UpdateDataset(r.PathValue("project"), r.PathValue("dataset"),
		func(old *bq.Dataset) (*bq.Dataset, error) {
			if err := matches(r, old.Etag); err != nil {
				return nil, err
			}
			def, err := changed(old, change, fixedOfDataset, patch)
			if err != nil {
				return nil, err
			}
			def.Etag, def.LastModifiedTime = etag(), time.Now().UnixMilli()
			return def, nil
		})
}

func (a *api) deleteDataset(r *http.Request) (any, error) {
	contents, _ := strconv.ParseBool(r.FormValue("deleteContents"))
	return nil, a.Store.DeleteDataset(r.PathValue("project"), r.PathValue("dataset"), contents)
}
