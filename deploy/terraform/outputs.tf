output "values" {
  description = "Values for the chart: terraform output -raw values > values.yaml"
  value = yamlencode({
    writer = {
      config = { bigquery = {
        project = var.project, dataset = google_bigquery_dataset.rows.dataset_id, location = var.location,
        allow   = ["${var.project}.${google_bigquery_dataset.rows.dataset_id}"]
      } }
      serviceAccount = { annotations = { "iam.gke.io/gcp-service-account" = google_service_account.service["writer"].email } }
    }
    ingest = {
      config = {
        kafka = {
          brokers = ["bootstrap.${google_managed_kafka_cluster.events.cluster_id}.${var.region}.managedkafka.${var.project}.cloud.goog:9092"]
          group   = var.group
          tls     = { enable = true }
          sasl = {
            mechanism = "oauthbearer"
            oauth     = { provider = "google", principal = google_service_account.service["ingest"].email }
          }
        }
        dead_letter = { create = false }
      }
      serviceAccount = { annotations = { "iam.gke.io/gcp-service-account" = google_service_account.service["ingest"].email } }
    }
  })
}
