package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// folder is a tree as an image has it, made anew: its times are of now.
func folder(t *testing.T, order []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range order {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, home), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pack is the archive of a service made from a folder.
func pack(t *testing.T, b *build, s service, dir string) (archive []byte, image string) {
	t.Helper()
	packed, diffID, err := layer(dir, b.at())
	if err != nil {
		t.Fatal(err)
	}
	files, image, _, err := b.archive(s, packed, diffID)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := files.write(&out, b.at()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), image
}

func entries(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if found[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// The same files give the same archive, byte for byte, whenever and wherever they were written; other files, another
// digest.
func TestSameFilesSameDigest(t *testing.T) {
	b := &build{
		Image: "waybill", Version: "v1.0.0", Commit: strings.Repeat("a", 40), Tags: []string{"latest", "v1.0.0"},
		Epoch: 1_700_000_000, Arch: "amd64",
	}
	names := []string{"bin/ingest", "etc/ssl/certs/ca-certificates.crt", "usr/share/sbom/ingest.cdx.json"}
	first, digest := pack(t, b, services[0], folder(t, names))
	slices.Reverse(names)
	second, again := pack(t, b, services[0], folder(t, names))
	if digest != again || !bytes.Equal(first, second) {
		t.Errorf("%s and %s", digest, again)
	}
	if _, other := pack(t, b, services[0], folder(t, append(names, "bin/more"))); other == digest {
		t.Error("a further file does not change the digest")
	}
}

// An archive is what both kinds of readers expect: every blob is named by its content, and the names lead from the
// index to the layer.
func TestArchive(t *testing.T) {
	const commit, created = "0123456789abcdef", "2023-11-14T22:13:20Z"
	b := &build{
		Image: "registry.example.com/waybill", Version: "v1", Commit: commit, Tags: tags("v1", commit),
		Epoch: 1_700_000_000, Arch: "arm64",
	}
	archive, image := pack(t, b, services[2], folder(t, []string{"bin/sandbox"}))
	files := entries(t, archive)
	for name, content := range files {
		if strings.HasPrefix(name, "blobs/") && blobPath(digest(content)) != name {
			t.Errorf("%s holds something else", name)
		}
	}
	parse := func(name string, to any) {
		t.Helper()
		if err := json.Unmarshal(files[name], to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var top index
	parse("index.json", &top)
	const name = "registry.example.com/waybill/sandbox:v1"
	if len(top.Manifests) != 3 || top.Manifests[1].Annotations["io.containerd.image.name"] != name {
		t.Errorf("%+v", top)
	}
	var m manifest
	parse(blobPath(image), &m)
	var c imageConfig
	parse(blobPath(m.Config.Digest), &c)
	for key, want := range map[string]string{
		"version": "v1", "revision": commit, "title": "waybill-sandbox", "created": created,
	} {
		if got := c.Config.Labels["org.opencontainers.image."+key]; got != want {
			t.Errorf("label %s is %q, want %q", key, got, want)
		}
	}
	if c.Architecture != "arm64" || c.Config.User != user || c.Config.Healthcheck == nil || c.Created != created {
		t.Errorf("%+v", c)
	}
	z, err := gzip.NewReader(bytes.NewReader(files[blobPath(m.Layers[0].Digest)]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if digest(plain) != c.RootFS.DiffIDs[0] {
		t.Error("the layer is not the one that the configuration names")
	}
	r := tar.NewReader(bytes.NewReader(plain))
	modes := map[string]int64{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[h.Name] = h.Mode
		if owned := h.Uid == 65532; owned != (h.Name == "data/") {
			t.Errorf("%s belongs to %d", h.Name, h.Uid)
		}
		if !h.ModTime.Equal(time.Unix(b.Epoch, 0)) {
			t.Errorf("%s is of %v", h.Name, h.ModTime)
		}
	}
	if modes["bin/sandbox"] != 0o755 || modes["data/"] != 0o755 {
		t.Errorf("%v", modes)
	}
	var docker []dockerManifest
	parse("manifest.json", &docker)
	if len(docker) != 1 || docker[0].Config != blobPath(m.Config.Digest) || len(docker[0].RepoTags) != 3 {
		t.Errorf("%+v", docker)
	}
}

func TestTags(t *testing.T) {
	for _, tt := range []struct {
		version, commit string
		want            []string
	}{
		{"v1.2.3", "0123456789abcdef0123", []string{"latest", "v1.2.3", "0123456789ab"}},
		{"v1.2.3-4-g012+changes", "0123456789abcdef", []string{"latest", "v1.2.3-4-g012-changes", "0123456789ab"}},
		{"0123456789ab", "0123456789abcdef", []string{"latest", "0123456789ab"}},
		{"not a tag", "unknown", []string{"latest", "unknown"}},
	} {
		if got := tags(tt.version, tt.commit); !slices.Equal(got, tt.want) {
			t.Errorf("%q, %q: %q, want %q", tt.version, tt.commit, got, tt.want)
		}
	}
}

// The authorities are certificates, among them those that Google's and Amazon's services show.
func TestRoots(t *testing.T) {
	pool := x509.NewCertPool()
	file := roots()
	if !pool.AppendCertsFromPEM(file) {
		t.Fatal("no certificates")
	}
	if n := bytes.Count(file, []byte("BEGIN CERTIFICATE")); n < 80 {
		t.Errorf("%d authorities", n)
	}
	subjects := map[string]bool{}
	for _, s := range pool.Subjects() { //nolint:staticcheck // deprecated for pools of the system alone
		subjects[string(s)] = true
	}
	for _, name := range []string{"GTS Root R1", "Amazon Root CA 1", "ISRG Root X1"} {
		found := false
		for s := range subjects {
			found = found || strings.Contains(s, name)
		}
		if !found {
			t.Errorf("%s is not among them", name)
		}
	}
}

// deploy/Dockerfile, for those who build with an engine, says the same of each image.
func TestDockerfileSaysTheSame(t *testing.T) {
	text, err := os.ReadFile("../../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]string{}
	for _, stage := range regexp.MustCompile(`(?m)^FROM `).Split(string(text), -1)[1:] {
		first, rest, _ := strings.Cut(stage, "\n")
		if _, name, ok := strings.Cut(first, " AS "); ok {
			stages[name] = rest
		}
	}
	for _, line := range []string{"USER " + user, "WORKDIR " + home, "ENV PATH=/bin"} {
		if !strings.Contains(stages["base"], line+"\n") {
			t.Errorf("the Dockerfile does not say %q", line)
		}
	}
	b := &build{}
	for label := range b.labels(services[0]) {
		said := strings.HasSuffix(label, ".created") || strings.HasSuffix(label, ".description") // which differ
		if !said && !strings.Contains(stages["base"], label) {
			t.Errorf("the Dockerfile has no label %s", label)
		}
	}
	list := func(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }
	for _, s := range services {
		lines := []string{
			"EXPOSE " + strings.Join(s.ports, " "), `ENTRYPOINT ["/bin/` + s.name + `"]`, "CMD " + list(s.command),
			"HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD " + list(s.health),
		}
		for _, e := range s.env {
			lines = append(lines, "ENV "+e)
		}
		for _, v := range s.volumes {
			lines = append(lines, "VOLUME "+v)
		}
		want := slices.Sorted(slices.Values(lines))
		said := regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(stages[s.name], "")
		got := strings.FieldsFunc(said, func(r rune) bool { return r == '\n' })
		if got = slices.Sorted(slices.Values(got)); !slices.Equal(got, want) {
			t.Errorf("stage %s says\n%s\nwant\n%s", s.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
