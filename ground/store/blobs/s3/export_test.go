package s3

import (
	"context"
	"time"
)

func (s *S3) Sweep(ctx context.Context, before time.Time) error { return s.sweep(ctx, before) }

// Uploads counts what was begun and not ended.
func (s *S3) Uploads(ctx context.Context) (n int) {
	for u := range s.client.ListIncompleteUploads(ctx, s.bucket, "", true) {
		if u.Err == nil {
			n++
		}
	}
	return n
}
