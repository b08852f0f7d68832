// Package restictest gives tests real places for backups: a folder, an SFTP
// server (OpenSSH's own), an S3-compatible service and a peer of restic's REST
// protocol, which may be told to be append-only.
package restictest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"quietroom/rooms/backup/restic"
)

// Need skips a test without restic or under -short; where CI is 1 it fails.
func Need(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("restic is not run under -short")
	}
	need(t, "restic", "apt-get install restic")
}

func need(t testing.TB, program, fix string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if home, herr := os.UserHomeDir(); err != nil && herr == nil { // where go install puts it
		p, err = exec.LookPath(filepath.Join(home, "go", "bin", program))
	}
	if err != nil && os.Getenv("CI") == "1" {
		t.Fatalf("%s is missing: %s", program, fix)
	}
	if err != nil {
		t.Skipf("%s is missing: %s", program, fix)
	}
	return p
}

// Folder is a place in an empty folder.
func Folder(t testing.TB) restic.Repo {
	return restic.Repo{URL: filepath.Join(t.TempDir(), "repo"), Password: "a quiet password"}
}

// SFTP is OpenSSH's server on a free port, for the user of the test.
type SFTP struct {
	Dir     string // where its files lie
	Address string // 127.0.0.1:PORT
	User    string
	Key     string // private key file that it lets in
	Known   string // known_hosts file
	stop    func()
}

// Stop ends the server, as an unplugged cable does.
func (s *SFTP) Stop() { s.stop() }

// NewSFTP starts one; it is gone with the test.
func NewSFTP(t testing.TB) *SFTP {
	t.Helper()
	Need(t)
	const fix = "apt-get install openssh-server openssh-client"
	sshd := ""
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			sshd = p
		}
	}
	if sshd == "" {
		sshd = need(t, "sshd", fix)
	}
	need(t, "ssh", fix)
	if os.Geteuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	dir := t.TempDir()
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %[2]s/host\nAuthorizedKeysFile %[2]s/user.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\n", port, dir)
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &SFTP{Dir: filepath.Join(dir, "files"), Address: fmt.Sprintf("127.0.0.1:%d", port), User: me.Username, Key: filepath.Join(dir, "user"), Known: filepath.Join(dir, "known_hosts"),
		stop: func() { once.Do(func() { cmd.Process.Kill(); cmd.Wait() }) }}
	t.Cleanup(s.stop)
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Known, fmt.Appendf(nil, "[127.0.0.1]:%d %s", port, host), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c, err := net.Dial("tcp", s.Address)
		if err == nil {
			c.Close()
			return s
		}
		time.Sleep(50 * time.Millisecond) // until it listens
	}
	t.Fatalf("sshd does not listen: %s", said.String())
	return nil
}

// Repo is a repository on the server.
func (s *SFTP) Repo() restic.Repo {
	host, port, _ := net.SplitHostPort(s.Address)
	return restic.Repo{URL: "sftp:" + s.User + "@" + host + ":" + s.Dir + "/repo", Password: "a quiet password",
		Options: []string{fmt.Sprintf("sftp.command=ssh -p %s -i %s -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s %s@%s -s sftp", port, s.Key, s.Known, s.User, host)}}
}

// NewS3 is an S3-compatible service in this process, with the bucket "house".
func NewS3(t testing.TB) (address string, stop func()) {
	t.Helper()
	back := s3mem.New()
	if err := back.CreateBucket("house"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(back).Server())
	var once sync.Once
	stop = func() { once.Do(srv.Close) }
	t.Cleanup(stop)
	return srv.URL, stop
}

// NewLockedS3 is versitygw, an S3-compatible service with versions and object
// lock, over a folder. Each bucket keeps what is written for some days (0: its
// versions are not locked) and old versions for ever.
func NewLockedS3(t testing.TB, days map[string]int) (address string) {
	t.Helper()
	Need(t)
	program := need(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	dir := t.TempDir()
	for _, sub := range []string{"buckets", "versions", "sidecar"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	cmd := exec.Command(program, "--access", "key", "--secret", "quiet-secret", "--region", "us-east-1", "--port", at, "--quiet", "posix",
		"--versioning-dir", filepath.Join(dir, "versions"), "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "buckets"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c, err := minio.New(at, &minio.Options{Creds: credentials.NewStaticV4("key", "quiet-secret", ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range days {
		for try := 0; ; try++ {
			if err = c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{ObjectLocking: true}); err == nil {
				break
			}
			if try == 100 {
				t.Fatalf("versitygw: %v: %s", err, said.String())
			}
			time.Sleep(50 * time.Millisecond) // until it listens
		}
		if n == 0 {
			continue
		}
		mode, validity, unit := minio.Compliance, uint(n), minio.Days
		if err := c.SetBucketObjectLockConfig(t.Context(), name, &mode, &validity, &unit); err != nil {
			t.Fatalf("versitygw: %v", err)
		}
	}
	return "http://" + at
}

// S3Repo is a repository in it.
func S3Repo(address string) restic.Repo {
	return restic.Repo{URL: "s3:" + address + "/house/repo", Password: "a quiet password", Options: []string{"s3.bucket-lookup=path"},
		Env: []string{"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=quiet-secret", "AWS_DEFAULT_REGION=us-east-1"}}
}

// REST is a peer of restic's REST protocol, as its manual describes it
// (restic.readthedocs.io, "REST Backend", version 2), over a folder.
type REST struct {
	Dir        string
	URL        string // with user and password
	AppendOnly bool
	Most       int64 // bytes it takes; then it is full. 0: no limit
	Gone       func(method, path string) bool
	mu         sync.Mutex
	stop       func()
}

// NewREST starts one; it is gone with the test.
func NewREST(t testing.TB, appendOnly bool) *REST {
	t.Helper()
	p := &REST{Dir: t.TempDir(), AppendOnly: appendOnly}
	srv := httptest.NewServer(p)
	var once sync.Once
	p.stop = func() { once.Do(func() { srv.CloseClientConnections(); srv.Close() }) }
	t.Cleanup(p.stop)
	p.URL = strings.Replace(srv.URL, "http://", "http://house:rest-secret@", 1)
	return p
}

// Stop ends the peer.
func (p *REST) Stop() { p.stop() }

// Repo is a repository on the peer.
func (p *REST) Repo() restic.Repo {
	return restic.Repo{URL: "rest:" + p.URL + "/repo/", Password: "a quiet password"}
}

var kinds = map[string]bool{"data": true, "keys": true, "locks": true, "snapshots": true, "index": true}

// ServeHTTP answers one request.
func (p *REST) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u, pw, ok := r.BasicAuth(); !ok || u != "house" || pw != "rest-secret" {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	if p.Gone != nil && p.Gone(r.Method, r.URL.Path) {
		panic(http.ErrAbortHandler)
	}
	clean := path.Clean(r.URL.Path)
	if !filepath.IsLocal(strings.TrimPrefix(clean, "/")) {
		http.Error(w, "no such place", http.StatusBadRequest)
		return
	}
	file := filepath.Join(p.Dir, filepath.FromSlash(clean))
	kind := path.Base(path.Dir(clean))
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Get("create") == "true":
		for k := range kinds {
			if err := os.MkdirAll(filepath.Join(file, k), 0o700); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
	case kinds[path.Base(clean)] && r.Method == http.MethodGet:
		p.list(w, file)
	case path.Base(clean) == "config", kinds[kind]:
		p.object(w, r, file, kind)
	default:
		http.NotFound(w, r)
	}
}

func (p *REST) list(w http.ResponseWriter, dir string) {
	type entry struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	list := []entry{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasSuffix(e.Name(), ".half") {
			list = append(list, entry{e.Name(), info.Size()})
		}
	}
	w.Header().Set("Content-Type", "application/vnd.x.restic.rest.v2")
	json.NewEncoder(w).Encode(list)
}

func (p *REST) object(w http.ResponseWriter, r *http.Request, file, kind string) {
	switch r.Method {
	case http.MethodHead, http.MethodGet:
		f, err := os.Open(file)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		info, _ := f.Stat()
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
			return
		}
		http.ServeContent(w, r, "", time.Time{}, f)
	case http.MethodPost:
		if _, err := os.Stat(file); err == nil {
			http.Error(w, "it is there already", http.StatusForbidden)
			return
		}
		if p.full(r.ContentLength) {
			http.Error(w, "full", http.StatusInsufficientStorage)
			return
		}
		f, err := os.Create(file + ".half")
		if err == nil {
			_, err = io.Copy(f, r.Body)
			err = errors.Join(err, f.Close())
		}
		if err == nil {
			err = os.Rename(file+".half", file)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	case http.MethodDelete:
		if p.AppendOnly && kind != "locks" {
			http.Error(w, "append-only", http.StatusForbidden)
			return
		}
		os.Remove(file)
	default:
		http.Error(w, "no such method", http.StatusMethodNotAllowed)
	}
}

func (p *REST) full(more int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Most == 0 {
		return false
	}
	var have int64
	filepath.WalkDir(p.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				have += info.Size()
			}
		}
		return nil
	})
	return have+more > p.Most
}
