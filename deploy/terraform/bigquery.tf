# Tables are made by the writer. Rows outlive the dataset's definition here: destroy fails while there are tables.
resource "google_bigquery_dataset" "rows" {
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "Rows of Waybill"
  delete_contents_on_destroy = false

  depends_on = [google_project_service.needed]
}

# The writer alone may write, and into this dataset alone: a row of somebody else in a write stream stops its lane.
resource "google_bigquery_dataset_iam_member" "writer" {
  dataset_id = google_bigquery_dataset.rows.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.service["writer"].member
}
