// Package blobs keeps sealed bytes too large for rows, on a disk or in an
// S3-compatible bucket. It promises that a blob is seen whole or not at all,
// and that what Put has acknowledged is durable.
//
// It knows nothing of keys: every blob arrives sealed, under an opaque name.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Store holds blobs by name. A name is opaque: segments of A-Z, 2-7, dots and
// hyphens with slashes between, at most 200 bytes; each segment begins and ends
// with a letter or digit. Methods may be called at the same time.
type Store interface {
	// Put writes a blob, or replaces it whole. If r fails, what was there stays.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get reads a blob; ErrNotFound if there is none. The caller closes it.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// Delete removes a blob. One that is not there is no error, so that
	// deleting can be tried again after a crash.
	Delete(ctx context.Context, name string) error
	// List gives the blobs whose names begin with prefix, in no order. An empty
	// prefix gives all.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Info is what can be known of a blob without reading it.
type Info struct {
	Name     string
	Size     int64 // in bytes
	Modified time.Time
}

// ErrNotFound means that there is no blob of this name.
var ErrNotFound = errors.New("blobs: not found")

const (
	maxName  = 200
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// CheckName tells what is wrong with a name, if anything.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("blobs: a name of %d bytes is longer than %d", len(name), maxName)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || strings.Trim(segment, alphabet+".-") != "" || strings.Trim(segment[:1]+segment[len(segment)-1:], alphabet) != "" {
			return fmt.Errorf("blobs: %q is no name: want A-Z, 2-7, dots and hyphens, with slashes between", name)
		}
	}
	return nil
}

// Reader ends a reader with its context.
func Reader(ctx context.Context, r io.Reader) io.Reader { return &reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
