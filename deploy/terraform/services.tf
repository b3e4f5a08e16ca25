# The services of the project that the rest needs.
resource "google_project_service" "needed" {
  for_each = toset(["bigquery.googleapis.com", "bigquerystorage.googleapis.com", "managedkafka.googleapis.com"])

  service            = each.value
  disable_on_destroy = false
}
