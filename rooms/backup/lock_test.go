package backup

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"quietroom/rooms/backup/bucket"
	"quietroom/rooms/backup/restic"
	"quietroom/rooms/backup/restic/restictest"
)

// TestALockedBucketKeepsWhatSomebodyWithTheKeyRemoves: whoever took over the
// server, with the key to the bucket, removes all of it and every version; a copy
// of before comes back. And no keys go to a bucket that would keep them too long.
func TestALockedBucketKeepsWhatSomebodyWithTheKeyRemoves(t *testing.T) {
	address := restictest.NewLockedS3(t, map[string]int{"thirty": 30, "ninety": 90})
	b, _ := room(t)
	b.Restic = "restic"
	for name, days := range map[string]int{"thirty": 30, "ninety": 90} {
		r, err := bucket.Ask(t.Context(), address+"/"+name+"/quietroom", "", "key", "quiet-secret")
		if err != nil || !r.Versioned || r.LockDays != days {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
	}
	place := Target{Kind: S3, Name: "Bucket", Place: address + "/ninety/quietroom", User: "key", Secret: "quiet-secret"}
	tried, err := b.Try(t.Context(), place)
	if err != nil || tried.Expires || tried.Lock != 90 || !strings.Contains(tried.KeysNot, "35") {
		t.Fatalf("a bucket that keeps all for 90 days: %+v, %v", tried, err)
	}
	// 30 days are few enough, and old versions stay for ever: versitygw knows no lifecycle.
	place.Place = address + "/thirty/quietroom"
	if tried, err = b.Try(t.Context(), place); err != nil || tried.Expires || !strings.Contains(tried.KeysNot, "old versions") {
		t.Fatalf("a bucket that keeps old versions: %+v, %v", tried, err)
	}
	engine, repo := b.engine(place), place.repo(Records, b.Password())
	saved, err := engine.SaveStream(t.Context(), repo, "records", strings.NewReader("what was saved"), []string{"pair-P", "facts-1"})
	if err != nil {
		t.Fatal(err)
	}
	locked(t, address, repo, saved.Snapshot)
}

func locked(t *testing.T, address string, repo restic.Repo, snapshot string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := minio.New(strings.TrimPrefix(address, "http://"), &minio.Options{Creds: credentials.NewStaticV4("key", "quiet-secret", ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	refused, removed := 0, 0
	var markers []minio.ObjectInfo
	for o := range c.ListObjects(ctx, "thirty", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if err := c.RemoveObject(ctx, "thirty", o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID, GovernanceBypass: true}); err != nil {
			refused++
		} else if !o.IsDeleteMarker {
			t.Errorf("a locked version of %s was removed", o.Key)
		}
		if !o.IsDeleteMarker && o.IsLatest {
			if err := c.RemoveObject(ctx, "thirty", o.Key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			removed++
		}
	}
	if refused == 0 || removed == 0 {
		t.Fatalf("%d versions were refused, %d objects removed: nothing was tried", refused, removed)
	}
	r := restic.Restic{}
	if _, err := r.Snapshots(ctx, repo); err == nil {
		t.Fatal("the repository is still there: nothing was tried")
	}
	for o := range c.ListObjects(ctx, "thirty", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if o.IsDeleteMarker && o.IsLatest && !strings.Contains(o.Key, "/locks/") {
			markers = append(markers, o)
		}
	}
	for _, o := range markers { // how its owner brings it back
		if err := c.RemoveObject(ctx, "thirty", o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID}); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	if err := r.Dump(ctx, repo, snapshot, "records", &text); err != nil || text.String() != "what was saved" {
		t.Fatalf("%q, %v", text.String(), err)
	}
}
