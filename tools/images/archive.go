package main

import (
	"encoding/json"
	"strings"
	"time"
)

// The configuration of an image as the OCI image specification has it (v1.1, config.md), and Docker's health check
// beside it.
type imageConfig struct {
	Created      string    `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       runConfig `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type runConfig struct {
	User         string              `json:"User"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	Env          []string            `json:"Env"`
	Entrypoint   []string            `json:"Entrypoint"`
	Cmd          []string            `json:"Cmd"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir"`
	Labels       map[string]string   `json:"Labels"`
	Healthcheck  *healthcheck        `json:"Healthcheck,omitempty"`
}

type healthcheck struct {
	Test        []string      `json:"Test"`
	Interval    time.Duration `json:"Interval"`
	Timeout     time.Duration `json:"Timeout"`
	StartPeriod time.Duration `json:"StartPeriod"`
}

type history struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// dockerManifest is what `docker load` reads of an archive before version 25, and Podman.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// labels are the annotations that the OCI image specification defines.
func (b *build) labels(s service) map[string]string {
	const at = "org.opencontainers.image."
	return map[string]string{
		at + "title": "waybill-" + s.name, at + "description": s.about, at + "licenses": "Apache-2.0",
		at + "source": "https://github.com/waybill-data/waybill", at + "version": b.Version, at + "revision": b.Commit,
		at + "created": b.at().Format(time.RFC3339),
	}
}

func (b *build) at() time.Time { return time.Unix(b.Epoch, 0).UTC() }

// config says how the image runs.
func (b *build) config(s service, diffID string) imageConfig {
	created := b.at().Format(time.RFC3339)
	c := imageConfig{
		Created: created, Architecture: b.Arch, OS: "linux",
		Config: runConfig{
			User: user, WorkingDir: home, Env: append([]string{"PATH=/bin"}, s.env...),
			ExposedPorts: map[string]struct{}{}, Labels: b.labels(s),
			Entrypoint: []string{"/bin/" + s.name}, Cmd: s.command,
			Healthcheck: &healthcheck{
				Test:     append([]string{"CMD"}, s.health...),
				Interval: 5 * time.Second, Timeout: 5 * time.Second, StartPeriod: time.Minute,
			},
		},
		History: []history{{Created: created, CreatedBy: "make images"}},
	}
	for _, p := range s.ports {
		c.Config.ExposedPorts[p+"/tcp"] = struct{}{}
	}
	for _, v := range s.volumes {
		if c.Config.Volumes == nil {
			c.Config.Volumes = map[string]struct{}{}
		}
		c.Config.Volumes[v] = struct{}{}
	}
	c.RootFS.Type, c.RootFS.DiffIDs = "layers", []string{diffID}
	return c
}

// archive lays an image out as an OCI layout that older engines can load too. It returns the digests of the image's
// manifest, by which a registry knows it, and of its configuration, by which an engine does.
func (b *build) archive(s service, packed []byte, diffID string) (files *blobs, image, id string, err error) {
	files = &blobs{}
	config, err := json.Marshal(b.config(s, diffID))
	if err != nil {
		return nil, "", "", err
	}
	id = files.blob(config)
	content := files.blob(packed)
	text, err := json.Marshal(manifest{
		SchemaVersion: 2, MediaType: typeManifest, Annotations: b.labels(s),
		Config: descriptor{MediaType: typeConfig, Digest: id, Size: len(config)},
		Layers: []descriptor{{MediaType: typeLayer, Digest: content, Size: len(packed)}},
	})
	if err != nil {
		return nil, "", "", err
	}
	image = files.blob(text)
	top := index{SchemaVersion: 2, MediaType: typeIndex}
	docker := dockerManifest{Config: blobPath(id), Layers: []string{blobPath(content)}}
	for _, tag := range b.Tags {
		name := b.Image + "/" + s.name + ":" + tag
		docker.RepoTags = append(docker.RepoTags, name)
		top.Manifests = append(top.Manifests, descriptor{
			MediaType: typeManifest, Digest: image, Size: len(text), Platform: &platform{b.Arch, "linux"},
			Annotations: map[string]string{
				"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": qualified(name),
			},
		})
	}
	for _, file := range []struct {
		name string
		v    any
	}{{"index.json", top}, {"manifest.json", []dockerManifest{docker}}} {
		text, err := json.Marshal(file.v)
		if err != nil {
			return nil, "", "", err
		}
		files.add(file.name, text)
	}
	files.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return files, image, id, nil
}

func blobPath(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// qualified is the name with its registry, as containerd has it.
func qualified(name string) string {
	host, _, _ := strings.Cut(name, "/")
	if strings.ContainsAny(host, ".:") || host == "localhost" {
		return name
	}
	return "docker.io/" + name
}
