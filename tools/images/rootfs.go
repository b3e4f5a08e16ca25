package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The files of an image, below its root.
const (
	rootsFile = "etc/ssl/certs/ca-certificates.crt"
	sbomDir   = "usr/share/sbom"
)

// rootfs builds what an image of the service holds into a folder: the static binary, the authorities of the web, and
// the list of what the binary is made of. It builds outside the workspace, so that the module's own go.mod decides, as
// in a release. It returns the path of the list.
func (b *build) rootfs(ctx context.Context, s service, dir string) (sbom string, err error) {
	binary := filepath.Join(dir, "bin", s.name)
	sbom = filepath.Join(dir, sbomDir, s.name+".cdx.json")
	for _, d := range []string{"bin", sbomDir, home, filepath.Dir(rootsFile)} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	flags := "-s -w -X github.com/waybill-data/waybill/pkg/version.number=" + b.Version +
		" -X main.version=" + b.Version + " -X runtime.godebugDefault=adaptivestackstart=0" // as the Makefile does
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags,
		"-pgo="+filepath.Join(b.Source, "services", "services.pgo"),
		"-o", binary, "./cmd/"+s.name)
	compile.Dir = filepath.Join(b.Source, s.module)
	compile.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.Arch, "GOFLAGS=")
	if err := b.run(compile); err != nil {
		return "", err
	}
	// Without number and time it is the same for the same binary.
	list := exec.CommandContext(ctx, b.SBOMTool, "bin", "-json", "-noserial", "-notimestamp", "-std",
		"-version", b.Version, "-output", sbom, binary)
	list.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if err := b.run(list); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, rootsFile), roots(), 0o644); err != nil {
		return "", err
	}
	return sbom, nil
}

// run runs a command and shows what it says when it fails.
func (b *build) run(c *exec.Cmd) error {
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s in %s: %w\n%s", c.Args[0]+" "+c.Args[1], c.Dir, err, said)
	}
	return nil
}

// roots are the authorities that Mozilla trusts without a condition, as PEM: those of the module's version, not of the
// machine that builds. A file of certificates cannot say conditions, so authorities with one are left out.
func roots() (file []byte) {
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			file = append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
		}
	}
	return file
}
