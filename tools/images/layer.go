package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// digest is a blob's name.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// layer packs a folder so that the same files give the same bytes: in order of their names, of one time, with owners
// and rights that do not depend on the machine. It returns the compressed layer and the digest of what it is
// uncompressed.
func layer(dir string, at time.Time) (packed []byte, diffID string, err error) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error { // in lexical order
		if err != nil || file == dir {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return add(w, file, filepath.ToSlash(name), entry, at)
	})
	if err != nil {
		return nil, "", err
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	var compressed bytes.Buffer
	z, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return compressed.Bytes(), digest(plain.Bytes()), nil
}

func add(w *tar.Writer, file, name string, entry fs.DirEntry, at time.Time) error {
	h := &tar.Header{Name: name, ModTime: at, Format: tar.FormatUSTAR}
	if "/"+name == home {
		h.Uid, h.Gid = 65532, 65532
	}
	if entry.IsDir() {
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return w.WriteHeader(h)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	h.Typeflag, h.Size, h.Mode = tar.TypeReg, int64(len(content)), 0o644
	if strings.HasPrefix(name, "bin/") {
		h.Mode = 0o755
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// blobs are the files of an archive, by name.
type blobs struct {
	files map[string][]byte
	names []string
}

func (b *blobs) add(name string, content []byte) {
	if b.files == nil {
		b.files = map[string][]byte{}
	}
	if _, ok := b.files[name]; !ok {
		b.names = append(b.names, name)
	}
	b.files[name] = content
}

// blob adds content under its digest, which it returns.
func (b *blobs) blob(content []byte) string {
	d := digest(content)
	b.add(path.Join("blobs", strings.Replace(d, ":", "/", 1)), content)
	return d
}

func (b *blobs) write(to io.Writer, at time.Time) error {
	w := tar.NewWriter(to)
	for _, name := range b.names {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: name, Size: int64(len(b.files[name])), Mode: 0o644, ModTime: at,
			Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(b.files[name]); err != nil {
			return err
		}
	}
	return w.Close()
}
