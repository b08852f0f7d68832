// Package s3 keeps blobs in a bucket of any S3-compatible service.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"quietroom/ground/store/blobs"
)

const (
	small    = 1 << 20 // sent in one request
	partSize = 8 << 20 // the memory one Put takes; with 10,000 parts a blob has at most 80 GB

	// abandoned is the age at which an upload's writer has died: a living one
	// may belong to another server.
	abandoned = 48 * time.Hour
)

// Config says where the bucket is.
type Config struct {
	URL    string // https://s3.example.org
	Region string // empty: the service's default
	Bucket string
	Key    string
	Secret string
}

// LogValue keeps the secret out of logs.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("url", c.URL), slog.String("bucket", c.Bucket), slog.String("secret", "[secret]"))
}

// S3 is a blobs.Store in a bucket.
type S3 struct {
	client *minio.Core
	bucket string
}

// Open opens the store in an existing bucket, and ends the uploads that killed
// servers left behind two days ago or earlier. It refuses a bucket that keeps old versions: what
// is deleted would stay there.
func Open(ctx context.Context, c Config) (*S3, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("open bucket %s: the address %q does not read like https://s3.example.org", c.Bucket, c.URL)
	}
	client, err := minio.NewCore(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.Key, c.Secret, ""),
		Secure: u.Scheme == "https", Region: c.Region,
	})
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", c.Bucket, err)
	}
	s := &S3{client, c.Bucket}
	if err := s.check(ctx); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", c.Bucket, err)
	}
	return s, nil
}

func (s *S3) check(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return err
	}
	if !there {
		return errors.New("there is no such bucket, or this key may not see it")
	}
	// Services without versions answer with an error, which is as good.
	if v, err := s.client.GetBucketVersioning(ctx, s.bucket); err == nil && v.Enabled() {
		return errors.New("the bucket keeps old versions, so that deleted blobs would stay; choose one that does not")
	}
	return s.sweep(ctx, time.Now().Add(-abandoned))
}

func (s *S3) sweep(ctx context.Context, before time.Time) error {
	for u := range s.client.ListIncompleteUploads(ctx, s.bucket, "", true) {
		if minio.ToErrorResponse(u.Err).Code == minio.NoSuchUpload {
			return nil // how some services say that there is none
		}
		if u.Err != nil {
			return u.Err
		}
		if !u.Initiated.Before(before) {
			continue
		}
		if err := s.client.AbortMultipartUpload(ctx, s.bucket, u.Key, u.UploadID); err != nil {
			return err
		}
	}
	return nil
}

// Put implements blobs.Store. A blob is streamed in parts of 8 MiB, one in memory at a time.
func (s *S3) Put(ctx context.Context, name string, r io.Reader) error {
	if err := blobs.CheckName(name); err != nil {
		return err
	}
	r = blobs.Reader(ctx, r)
	size, opts := int64(-1), minio.PutObjectOptions{
		PartSize: partSize, NumThreads: 1, ContentType: "application/octet-stream",
		DisableContentSha256: true, // as minio does over https anyway: what arrives is sealed, and a changed byte does not open
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, small)
	switch {
	case errors.Is(err, io.EOF):
		size, r = n, bytes.NewReader(head.Bytes())
	case err == nil:
		r = io.MultiReader(&head, r)
	default:
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	if _, err := s.client.Client.PutObject(ctx, s.bucket, name, r, size, opts); err != nil {
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	return nil
}

// Get implements blobs.Store.
func (s *S3) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := blobs.CheckName(name); err != nil {
		return nil, err
	}
	body, _, _, err := s.client.GetObject(ctx, s.bucket, name, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, fmt.Errorf("get blob %s: %w", name, blobs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", name, err)
	}
	return body, nil
}

// Delete implements blobs.Store.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := blobs.CheckName(name); err != nil {
		return err
	}
	if err := s.client.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("delete blob %s: %w", name, err)
	}
	return nil
}

// List implements blobs.Store.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[blobs.Info, error] {
	return func(yield func(blobs.Info, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // ends the listing where the caller has seen enough
		defer cancel()
		for o := range s.client.Client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if o.Err != nil {
				yield(blobs.Info{}, fmt.Errorf("list blobs %s: %w", prefix, o.Err))
				return
			}
			if !yield(blobs.Info{Name: o.Key, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(blobs.Info{}, fmt.Errorf("list blobs %s: %w", prefix, err))
		}
	}
}
