# An account each. Neither has a key: the pods get tokens by workload identity.
resource "google_service_account" "service" {
  for_each = toset(["writer", "ingest"])

  account_id   = "waybill-${each.value}"
  display_name = "Waybill's ${each.value}"
}

# Only the pods of the release's account in Kubernetes act as it.
resource "google_service_account_iam_member" "pods" {
  for_each = google_service_account.service

  service_account_id = each.value.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.namespace}/${var.release}-${each.key}]"
}

# Connecting to Kafka is a right in the project; what is done there, Kafka's ACLs say (kafka.tf).
resource "google_project_iam_member" "kafka" {
  project = var.project
  role    = "roles/managedkafka.client"
  member  = google_service_account.service["ingest"].member
}
