package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"quietroom/layer"
	"quietroom/rooms/vault"
)

// bucketAddress starts an S3 service and returns the address of an empty bucket.
func bucketAddress(t *testing.T) string {
	t.Helper()
	peer := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(false)).Server())
	t.Cleanup(peer.Close)
	req, err := http.NewRequest("PUT", peer.URL+"/practice", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("make the bucket: %v, %v", res, err)
	}
	res.Body.Close()
	return peer.URL + "/practice?region=us-east-1"
}

func TestAGroupsRowsAndBucketAreTakenAndAttackedToo(t *testing.T) {
	address := bucketAddress(t)
	g := newGroup(t, func(s *settings) error {
		s.Blobs = address
		return os.WriteFile(filepath.Join(s.dir, bucketKey), []byte("key\nsecret\n"), 0o600)
	})
	h := g.open(t, 0)
	ctx := g.enter(t, h, "owner-1")
	all, err := h.allPatients(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.vault.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.In(ctx, all[0], vault.Chart)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("said in the bucket, ", 100_000)
	rec, err := b.PutStream(ctx, c, layer.Draft{}, strings.NewReader(long))
	if err == nil {
		err = b.Commit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	chart, err := h.vault.Open(ctx, all[0], vault.Chart)
	if err != nil {
		t.Fatal(err)
	}
	if _, body, err := chart.Read(ctx, rec); err != nil || string(body) != long {
		t.Fatalf("a file in the bucket does not come back: %d bytes, %v", len(body), err)
	}
	chart.Close()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"theft", "tamper"} {
		r := drilledOn(t, g.dirs[0], 30, name, false)
		holds(t, r)
		if name != "theft" {
			continue
		}
		if boxes := r.More["boxes_attacked"].(map[string]int); r.Tried < groupPatients || boxes["streams"] == 0 {
			t.Errorf("%d records and %d streams were attacked, want the whole group's", r.Tried, boxes["streams"])
		}
	}
}

func TestAHouseSaysWhatItsBucketLacks(t *testing.T) {
	for name, try := range map[string]struct{ blobs, key, want string }{
		"no key":      {"https://127.0.0.1:1/b", "", bucketKey + " is missing"},
		"half a key":  {"https://127.0.0.1:1/b", "key", "two lines"},
		"no bucket":   {"https://127.0.0.1:1", "key\nquiet-secret", "does not read like"},
		"not S3":      {"ftp://127.0.0.1:1/b", "key\nquiet-secret", "does not read like"},
		"nobody home": {"http://127.0.0.1:1/b", "key\nquiet-secret", "open bucket b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &settings{Blobs: try.blobs, dir: t.TempDir()}
			if try.key != "" {
				if err := os.WriteFile(filepath.Join(s.dir, bucketKey), []byte(try.key), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.shelf(t.Context()); err == nil || !strings.Contains(err.Error(), try.want) || strings.Contains(err.Error(), "quiet-secret") {
				t.Errorf("it says %v, want %q and no secret", err, try.want)
			}
		})
	}
}
