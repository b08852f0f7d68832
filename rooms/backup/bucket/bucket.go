// Package bucket asks an S3-compatible service what becomes of an object that is
// removed from a bucket: is it gone, is it kept as an old version, may it not be
// removed at all for some days (object lock).
package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Rules are a bucket's.
type Rules struct {
	Versioned bool // what is removed stays as an old version
	LockDays  int  // no version can be removed for so long, by anybody in compliance mode; 0: none
	Mode      string
	OldDays   int // old versions go so many days after they were removed; 0: never
}

// Ask reads them. place is https://host/bucket/folder. A service that knows no
// versions answers with an error to each question, which is as good as none.
func Ask(ctx context.Context, place, region, key, secret string) (r Rules, err error) {
	u, err := url.Parse(place)
	if err != nil {
		return r, err
	}
	name, folder, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if region == "" {
		region = "us-east-1"
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(key, secret, ""), Secure: u.Scheme == "https", Region: region, BucketLookup: minio.BucketLookupAuto})
	if err != nil {
		return r, fmt.Errorf("ask a bucket: %w", err)
	}
	v, err := c.GetBucketVersioning(ctx, name)
	switch {
	case err == nil:
		r.Versioned = v.Status != "" // "Suspended" keeps what was a version before
	case ctx.Err() != nil:
		return r, ctx.Err()
	case refused(err):
		return r, fmt.Errorf("ask a bucket for its versions: %w", errors.Join(ErrSilent, err))
	}
	if mode, validity, unit, err := c.GetBucketObjectLockConfig(ctx, name); err == nil && mode != nil && validity != nil && unit != nil {
		r.Mode, r.LockDays = string(*mode), int(*validity)
		if *unit == minio.Years {
			r.LockDays *= 366
		}
	}
	rules, err := c.GetBucketLifecycle(ctx, name)
	if err != nil {
		return r, nil
	}
	for _, l := range rules.Rules {
		prefix := l.RuleFilter.Prefix
		if prefix == "" {
			prefix = l.Prefix
		}
		narrower := !l.RuleFilter.Tag.IsEmpty() || !l.RuleFilter.And.IsEmpty()
		if l.Status != "Enabled" || narrower || !strings.HasPrefix(strings.Trim(folder, "/")+"/", prefix) || l.NoncurrentVersionExpiration.NewerNoncurrentVersions > 0 {
			continue
		}
		if days := int(l.NoncurrentVersionExpiration.NoncurrentDays); days > 0 && (r.OldDays == 0 || days < r.OldDays) {
			r.OldDays = days
		}
	}
	return r, nil
}

// ErrSilent means that the key may not ask: what becomes of removed objects is not known.
var ErrSilent = errors.New("bucket: its rules may not be read with this key")

func refused(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == "AccessDenied" || code == "AllAccessDisabled"
}

// longest is how long a copy of a key may lie at a place, in days; leave is when
// it is removed there.
const longest, leave = 35, 34

// KeysGo tells whether copies of keys that are removed after 34 days are gone
// from such a bucket by the 35th; else why not, for people.
func (r Rules) KeysGo() (ok bool, why string) {
	switch {
	case r.LockDays > longest:
		return false, fmt.Sprintf("Its object lock keeps everything for %d days; keys may lie there for 35 at most. Set it to 35 days or less.", r.LockDays)
	case r.Versioned && r.OldDays == 0:
		return false, "It keeps what is removed as old versions, for ever. Add a lifecycle rule that lets old versions expire after 1 day."
	case r.Versioned && leave+r.OldDays > longest:
		return false, fmt.Sprintf("It keeps what is removed as old versions, for %d days more. Set the lifecycle rule to 1 day.", r.OldDays)
	}
	return true, ""
}
