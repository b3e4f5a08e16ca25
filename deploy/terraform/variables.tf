variable "project" {
  description = "Id of the project that holds everything: dataset, accounts, Kafka."
  type        = string
}

variable "region" {
  description = "Region of the Kafka cluster, for example europe-west1."
  type        = string
}

variable "subnet" {
  description = "Subnet from which Kafka is reached, that of the GKE cluster: projects/PROJECT/regions/REGION/subnetworks/NAME."
  type        = string
}

variable "dataset" {
  description = "Id of the BigQuery dataset."
  type        = string
  default     = "deliveries"
}

variable "location" {
  description = "Where the dataset is: a multi-region such as EU, or a region. It cannot be changed later."
  type        = string
  default     = "EU"
}

variable "namespace" {
  description = "Kubernetes namespace of the chart's release."
  type        = string
  default     = "waybill"
}

variable "release" {
  description = "Name of the chart's release, which must contain waybill: its accounts in Kubernetes are RELEASE-writer and RELEASE-ingest."
  type        = string
  default     = "waybill"

  validation {
    condition     = strcontains(var.release, "waybill")
    error_message = "Name the release waybill, or something that contains it: the chart's objects are named after it."
  }
}

variable "kafka_cluster" {
  description = "Id of the Kafka cluster."
  type        = string
  default     = "deliveries"
}

variable "kafka_vcpus" {
  description = "Processors of the Kafka cluster, at least 3; it gets four times as many GiB of memory."
  type        = number
  default     = 3
}

variable "group" {
  description = "Consumer group of ingest."
  type        = string
  default     = "waybill"
}

variable "topics" {
  description = "Topics that ingest reads, with their partitions; each gets a dead-letter topic."
  type        = map(number)
  default = {
    delivery_events_v6_topic         = 32
    sms_physical_stock_updated_topic = 8
  }
}

variable "producers" {
  description = "Mail addresses of the accounts that write to the topics. Nobody else but ingest has a right there."
  type        = list(string)
  default     = []
}
