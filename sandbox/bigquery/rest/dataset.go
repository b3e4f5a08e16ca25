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
		def.Location = a.Location
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
	out := &bq.DatasetList{Kind: "bigquery#datasetList"}
	for _, d := range a.Store.Datasets(r.PathValue("project")) {
		out.Datasets = append(out.Datasets, &bq.DatasetListDatasets{
			Kind: d.Kind, Id: d.Id, DatasetReference: d.DatasetReference,
			FriendlyName: d.FriendlyName, Labels: d.Labels, Location: d.Location,
		})
	}
	return out, nil
}

func (a *api) deleteDataset(r *http.Request) (any, error) {
	contents, _ := strconv.ParseBool(r.FormValue("deleteContents"))
	return nil, a.Store.DeleteDataset(r.PathValue("project"), r.PathValue("dataset"), contents)
}
