// Command images builds the images of the services without an engine: static binaries, what they are made of, and
// nothing else, packed so that the same source gives the same digest on every machine. `make images` calls it, and
// deploy/Dockerfile for the files alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// build is what all images of a call have in common.
type build struct {
	// Source is the root of the repository, SBOMTool the program cyclonedx-gomod, and Out where the images go.
	Source, SBOMTool, Out string
	// Image is what their names begin with.
	Image string
	// Version and Commit say what they are made of; Tags are made of both.
	Version, Commit string
	Tags            []string
	// Epoch is the time of everything in them, in seconds since 1970.
	Epoch int64
	// Arch is the processor, as Go names it.
	Arch string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var b build
	var rootfs bool
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.StringVar(&b.Source, "source", ".", "root of the repository")
	flags.StringVar(&b.SBOMTool, "sbom-tool", "bin/cyclonedx-gomod", "the program cyclonedx-gomod")
	flags.StringVar(&b.Out, "out", "bin/images", "folder for what is built")
	flags.StringVar(&b.Image, "image", "waybill", "what the names of images begin with")
	flags.StringVar(&b.Version, "version", "development", "version of the programs")
	flags.StringVar(&b.Commit, "commit", "unknown", "commit that they are built from")
	flags.Int64Var(&b.Epoch, "epoch", 0, "time of all files, in seconds since 1970")
	flags.StringVar(&b.Arch, "arch", "amd64", "processor: amd64 or arm64")
	flags.BoolVar(&rootfs, "rootfs", false, "only the files of each image, in a folder of its name")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("takes flags alone, got %q", flags.Args())
	}
	if !slices.Contains([]string{"amd64", "arm64"}, b.Arch) {
		return fmt.Errorf("-arch must be amd64 or arm64, got %q", b.Arch)
	}
	if err := b.absolute(); err != nil {
		return err
	}
	b.Tags = tags(b.Version, b.Commit)
	for _, s := range services {
		if err := b.image(ctx, s, rootfs, out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (b *build) absolute() (err error) {
	for _, p := range []*string{&b.Source, &b.SBOMTool, &b.Out} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return os.MkdirAll(b.Out, 0o755)
}

// tags are latest, the version and the commit: in a tag, a plus sign becomes a hyphen.
func tags(version, commit string) []string {
	tags := []string{"latest"}
	for _, t := range []string{version, commit[:min(12, len(commit))]} {
		t = strings.ReplaceAll(t, "+", "-")
		if regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`).MatchString(t) && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	return tags
}

// image builds one image, and prints its line.
func (b *build) image(ctx context.Context, s service, only bool, out io.Writer) (err error) {
	dir := filepath.Join(b.Out, s.name)
	if !only {
		if dir, err = os.MkdirTemp("", "waybill-image-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	sbom, err := b.rootfs(ctx, s, dir)
	if err != nil || only {
		return err
	}
	packed, diffID, err := layer(dir, b.at())
	if err != nil {
		return err
	}
	files, image, id, err := b.archive(s, packed, diffID)
	if err != nil {
		return err
	}
	list, err := os.ReadFile(sbom)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.Out, s.name+".cdx.json"), list, 0o644); err != nil {
		return err
	}
	if err := b.write(s.name+".tar", files); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.Out, s.name+".digest"), []byte(image+"\n"), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%-8s %s  %d KiB  id %s  tags %s\n",
		s.name, image, len(packed)>>10, id[len("sha256:"):][:12], strings.Join(b.Tags, ", "))
	return err
}

func (b *build) write(name string, files *blobs) (err error) {
	f, err := os.Create(filepath.Join(b.Out, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return files.write(f, b.at())
}
