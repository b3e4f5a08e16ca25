locals {
  ingest  = "User:${google_service_account.service["ingest"].email}"
  letters = { for topic, partitions in var.topics : "${topic}.dead-letter" => topic }
}

resource "google_managed_kafka_cluster" "events" {
  cluster_id = var.kafka_cluster
  location   = var.region

  capacity_config {
    vcpu_count   = var.kafka_vcpus
    memory_bytes = var.kafka_vcpus * 4 * 1024 * 1024 * 1024
  }

  gcp_config {
    access_config {
      network_configs {
        subnet = var.subnet
      }
    }
  }

  depends_on = [google_project_service.needed]
}

# Retention is well above the longest stop: what it removes before it was read is lost.
resource "google_managed_kafka_topic" "events" {
  for_each = var.topics

  topic_id           = each.key
  cluster            = google_managed_kafka_cluster.events.cluster_id
  location           = var.region
  partition_count    = each.value
  replication_factor = 3
  configs = {
    "cleanup.policy"      = "delete"
    "retention.ms"        = "604800000"
    "min.insync.replicas" = "2"
  }
}

resource "google_managed_kafka_topic" "letters" {
  for_each = local.letters

  topic_id           = each.key
  cluster            = google_managed_kafka_cluster.events.cluster_id
  location           = var.region
  partition_count    = 1
  replication_factor = 3
  configs = {
    "cleanup.policy" = "delete"
    "retention.ms"   = "2592000000"
  }
}

# With an ACL of its own a topic is closed to everybody whom no entry names: producers are named in var.producers.
resource "google_managed_kafka_acl" "read" {
  for_each = google_managed_kafka_topic.events

  acl_id   = "topic/${each.value.topic_id}"
  cluster  = google_managed_kafka_cluster.events.cluster_id
  location = var.region

  acl_entries {
    principal       = local.ingest
    permission_type = "ALLOW"
    operation       = "READ"
    host            = "*"
  }

  acl_entries {
    principal       = local.ingest
    permission_type = "ALLOW"
    operation       = "DESCRIBE"
    host            = "*"
  }

  dynamic "acl_entries" {
    for_each = setproduct(var.producers, ["WRITE", "DESCRIBE"])

    content {
      principal       = "User:${acl_entries.value[0]}"
      permission_type = "ALLOW"
      operation       = acl_entries.value[1]
      host            = "*"
    }
  }
}

resource "google_managed_kafka_acl" "letters" {
  for_each = google_managed_kafka_topic.letters

  acl_id   = "topic/${each.value.topic_id}"
  cluster  = google_managed_kafka_cluster.events.cluster_id
  location = var.region

  acl_entries {
    principal       = local.ingest
    permission_type = "ALLOW"
    operation       = "WRITE"
    host            = "*"
  }

  acl_entries {
    principal       = local.ingest
    permission_type = "ALLOW"
    operation       = "DESCRIBE"
    host            = "*"
  }
}

resource "google_managed_kafka_acl" "group" {
  acl_id   = "consumerGroup/${var.group}"
  cluster  = google_managed_kafka_cluster.events.cluster_id
  location = var.region

  acl_entries {
    principal       = local.ingest
    permission_type = "ALLOW"
    operation       = "READ"
    host            = "*"
  }
}
