package terraform

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDeployTerraform(t *testing.T) {
	found, err := Check("../../deploy/terraform")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Error(line)
	}
}

// What is wrong is found, one thing at a time, in a copy of the files.
func TestCheckFinds(t *testing.T) {
	const kafka, bigquery = "kafka.tf", "bigquery.tf"
	for name, tt := range map[string]struct{ file, old, new, want string }{
		"syntax":     {kafka, "locals {", "locals", "kafka.tf"},
		"format":     {bigquery, "location                   =", "location =", "bigquery.tf is not formatted"},
		"variable":   {bigquery, "var.dataset", "var.datset", "var.datset is not declared"},
		"local":      {kafka, "= local.letters", "= local.lettrs", "local.lettrs is not declared"},
		"resource":   {kafka, "kafka_cluster.events.", "kafka_cluster.none.", "kafka_cluster.none is not declared"},
		"attribute":  {bigquery, "rows.dataset_id", "rows.datasetid", "has no attribute datasetid"},
		"argument":   {kafka, "partition_count   ", "partitions_count  ", "has no argument partitions_count"},
		"required":   {kafka, "  topic_id           = each.key\n", "", "managed_kafka_topic lacks topic_id"},
		"block":      {kafka, "network_configs {", "network_config {", "has no block network_config"},
		"unknown":    {bigquery, "dataset_iam_member\"", "dataset_iam_members\"", "no resource"},
		"never used": {kafka, "var.kafka_vcpus", "3", "var.kafka_vcpus is declared and never used"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("../../deploy/terraform")); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, tt.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.ReplaceAll(string(text), tt.old, tt.new)
			if changed == string(text) {
				t.Fatalf("%s does not have %q any more", tt.file, tt.old)
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := Check(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
	if _, err := Check(t.TempDir()); err == nil {
		t.Error("a folder without files is well")
	}
}
