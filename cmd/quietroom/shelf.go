package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/store/blobs"
	"quietroom/ground/store/blobs/disk"
	"quietroom/ground/store/blobs/s3"
)

// bucketKey is the file that lets a house into its bucket: the access key on
// the first line, its secret on the second. What lies in the bucket is sealed;
// whoever has this file can delete it, and read none of it.
const bucketKey = "s3.key"

// shelf is where a house keeps what is too large for rows.
type shelf struct {
	blobs.Store
	io.Closer
}

// shelf opens it: a folder in the house's directory, or a bucket for a group.
func (s *settings) shelf(ctx context.Context) (shelf, error) {
	if !strings.Contains(s.Blobs, "://") {
		d, err := disk.Open(filepath.Join(s.dir, s.Blobs))
		return shelf{d, d}, err
	}
	c, err := s.bucket()
	if err != nil {
		return shelf{}, err
	}
	b, err := s3.Open(ctx, c)
	return shelf{b, io.NopCloser(nil)}, err
}

// bucket reads where the bucket is, https://s3.example.org/bucket?region=r, and
// the key to it.
func (s *settings) bucket() (c s3.Config, err error) {
	u, err := url.Parse(s.Blobs)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return c, fmt.Errorf("the bucket's address does not read like https://s3.example.org/bucket?region=us-east-1")
	}
	path := filepath.Join(s.dir, bucketKey)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s is missing: write the bucket's access key on its first line and the secret on the second, readable by the server alone (chmod 600)", path)
	}
	if err != nil {
		return c, err
	}
	lines := strings.Fields(string(text))
	if len(lines) != 2 {
		return c, fmt.Errorf("%s has to hold two lines: the bucket's access key, and its secret", path)
	}
	return s3.Config{URL: u.Scheme + "://" + u.Host, Region: u.Query().Get("region"), Bucket: strings.Trim(u.Path, "/"), Key: lines[0], Secret: lines[1]}, nil
}

// taken is where a thief's copy of the house has the blobs.
func (s *settings) taken() string {
	if filepath.IsLocal(s.Blobs) && !strings.Contains(s.Blobs, "://") {
		return s.Blobs
	}
	return "blobs"
}

// takeBlobs copies what lies outside of the house's directory.
func (s *settings) takeBlobs(ctx context.Context, to string) error {
	from, err := s.shelf(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	here, err := disk.Open(to)
	if err != nil {
		return err
	}
	defer here.Close()
	for blob, err := range from.List(ctx, "") {
		if err != nil {
			return err
		}
		r, err := from.Get(ctx, blob.Name)
		if errors.Is(err, blobs.ErrNotFound) {
			continue // the house goes on while it is copied
		}
		if err == nil {
			err = errors.Join(here.Put(ctx, blob.Name, r), r.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
