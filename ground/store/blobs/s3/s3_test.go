package s3_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"quietroom/ground/store/blobs"
	"quietroom/ground/store/blobs/blobstest"
	"quietroom/ground/store/blobs/s3"
)

var _ blobs.Store = (*s3.S3)(nil)

// TestMain turns this binary into an S3 service of its own process, where asked
// to, so that the memory that the suite measures is the client's alone.
func TestMain(m *testing.M) {
	if os.Getenv("QUIETROOM_S3_PEER") == "1" {
		fmt.Println(httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(false)).Server()).URL)
		io.Copy(io.Discard, os.Stdin) // until the test is gone
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func peer(t *testing.T) s3.Config {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "QUIETROOM_S3_PEER=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	leash, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leash.Close(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c := s3.Config{URL: strings.TrimSpace(address), Region: "us-east-1", Bucket: "house", Key: "key", Secret: "quiet-secret"}
	req, _ := http.NewRequest("PUT", c.URL+"/"+c.Bucket, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("make the bucket: %v, %v", res, err)
	}
	res.Body.Close()
	return c
}

func open(t *testing.T, c s3.Config) *s3.S3 {
	t.Helper()
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3(t *testing.T) {
	s := open(t, peer(t))
	blobstest.TestStore(t, s)
	if n := s.Uploads(t.Context()); n != 0 {
		t.Errorf("%d uploads were begun and not ended", n)
	}
}

func TestAWrongBucketIsSaidAtOnce(t *testing.T) {
	c := peer(t)
	c.Bucket = "elsewhere"
	if _, err := s3.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "elsewhere: there is no such bucket") {
		t.Errorf("got %v", err)
	}
	c.URL = "s3.example.org"
	if _, err := s3.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "does not read like https://") {
		t.Errorf("got %v", err)
	}
}

func TestABucketThatKeepsVersionsIsRefused(t *testing.T) {
	c := peer(t)
	req, _ := http.NewRequest("PUT", c.URL+"/"+c.Bucket+"?versioning",
		strings.NewReader(`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`))
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
	if _, err := s3.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "keeps old versions") {
		t.Fatalf("got %v", err)
	}
}

func TestAnAbandonedUploadIsSwept(t *testing.T) {
	c := peer(t)
	s := open(t, c)
	begin := func() {
		res, err := http.Post(c.URL+"/"+c.Bucket+"/ABANDONED?uploads", "", nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", res, err)
		}
		res.Body.Close()
	}
	begin()
	if err := s.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := s.Uploads(t.Context()); n != 1 {
		t.Fatalf("a young upload, which may be another server's, was swept: %d left", n)
	}
	if err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := s.Uploads(t.Context()); n != 0 {
		t.Fatalf("%d uploads are left", n)
	}
}

func TestTheSecretIsNotLogged(t *testing.T) {
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(context.Background(), "open", "bucket", s3.Config{Secret: "quiet-secret"})
	if strings.Contains(log.String(), "quiet-secret") {
		t.Fatalf("logged: %s", &log)
	}
}
