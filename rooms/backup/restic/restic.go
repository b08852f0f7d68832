// Package restic runs the backup program of that name (restic.net, 0.14 or
// newer) and reads what it answers. The password goes to it over a pipe and the
// place with its credentials over the environment: neither ever stands on a
// command line, where every user of the machine could read it. Its cache and
// temporary files lie in a folder that the caller names, or there is no cache.
package restic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors that callers act upon.
var (
	// ErrMissing means that there is no restic on this machine.
	ErrMissing = errors.New("restic is not installed, so nothing can be backed up or brought back; on Debian: apt-get install restic")
	// ErrOld means that the restic here is of a version that was never tried.
	ErrOld = errors.New("this restic is older than 0.14, which is the oldest that was tried; install a newer one")
	// ErrPassword means that the repository is there and has another password.
	ErrPassword = errors.New("the backup's password does not open this place")
	// ErrNone means that there is no repository at this place.
	ErrNone = errors.New("there is no backup at this place")
	// ErrUnreachable means that the place did not answer.
	ErrUnreachable = errors.New("this place did not answer")
	// ErrFull means that the place has no room left.
	ErrFull = errors.New("this place is full")
	// ErrRefused means that the place forbids what was asked: an append-only one does so with removals.
	ErrRefused = errors.New("this place forbids it")
	// ErrLocked means that another process works on the repository.
	ErrLocked = errors.New("another process works on this backup just now")
	// ErrPart means that a file went away or could not be read while it was saved.
	ErrPart = errors.New("not every file could be read")
	// ErrDamaged means that something of the repository is gone or is not what was written.
	ErrDamaged = errors.New("something of this backup is missing or damaged")
)

// Repo is one repository at one place.
type Repo struct {
	URL      string   // as restic writes it: /mnt/usb/x, sftp:me@host:/x, s3:https://host/bucket/x, rest:https://host/x/
	Env      []string // credentials: AWS_ACCESS_KEY_ID=...
	Options  []string // sftp.command=...
	Password string
}

// String keeps credentials out of logs.
func (Repo) String() string { return "[repository]" }

// Snapshot is one saved state.
type Snapshot struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Tags []string  `json:"tags"`
}

// Saved is what one saving did.
type Saved struct {
	Snapshot string `json:"snapshot_id"`
	Files    int    `json:"total_files_processed"`
	Bytes    int64  `json:"total_bytes_processed"` // looked at
	Added    int64  `json:"data_added"`            // new, before compression
}

// Restic is the program. The zero value works and keeps no cache.
type Restic struct {
	Program string        // "restic" if empty
	Dir     string        // where cache and temporary files lie; empty: no cache
	Up      int           // most KiB a second to the place; 0: no limit
	Down    int           // most KiB a second from the place; 0: no limit
	At      time.Time     // when what is saved was so; zero: now
	Reach   time.Duration // how long a place may take to answer; a minute if 0
	Give    time.Duration // how long after the first failed write a place is given up; 2 minutes if 0
}

var version = regexp.MustCompile(`^restic (\d+)\.(\d+)\.(\d+)`)

// Version returns the program's version, like 0.14.0; ErrMissing, ErrOld.
func (r Restic) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, r.program(), "version").Output()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return "", ErrMissing
	}
	if err != nil {
		return "", fmt.Errorf("restic version: %w", err)
	}
	m := version.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("restic version: %q is no version", firstLine(string(out)))
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	said := string(m[1]) + "." + string(m[2]) + "." + string(m[3])
	if major == 0 && minor < 14 {
		return said, ErrOld
	}
	return said, nil
}

func (r Restic) program() string {
	if r.Program == "" {
		return "restic"
	}
	return r.Program
}

// Init makes the repository.
func (r Restic) Init(ctx context.Context, repo Repo) error {
	return r.short(ctx, repo, "init", "--repository-version", "2")
}

// Open tells whether the repository is there and the password opens it.
func (r Restic) Open(ctx context.Context, repo Repo) error {
	return r.short(ctx, repo, "cat", "config", "--no-lock")
}

// Snapshots lists what was saved, oldest first.
func (r Restic) Snapshots(ctx context.Context, repo Repo) ([]Snapshot, error) {
	var out bytes.Buffer
	if err := r.hurry(ctx, repo, nil, &out, "snapshots", "--json", "--no-lock"); err != nil {
		return nil, err
	}
	var list []Snapshot
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, fmt.Errorf("restic snapshots: %w", err)
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return a.Time.Compare(b.Time) })
	return list, nil
}

// Save saves files and folders, named relative to dir. What is not there is an
// error here; restic 0.14 alone would pass over it and end with 0. without are
// patterns of what is left out. step gets bytes done and in total.
func (r Restic) Save(ctx context.Context, repo Repo, dir string, paths, without, tags []string, step func(done, total int64)) (Saved, error) {
	for _, p := range paths {
		if _, err := os.Lstat(dir + string(os.PathSeparator) + p); err != nil {
			return Saved{}, fmt.Errorf("save: %w", err)
		}
	}
	args := []string{"backup", "--json", "--host", "quietroom", "--ignore-inode"}
	for _, t := range tags {
		args = append(args, "--tag", t)
	}
	for _, w := range without {
		args = append(args, "--exclude", w)
	}
	return r.save(ctx, repo, nil, dir, step, append(append(args, "--"), paths...)...)
}

// SaveStream saves what in gives, as one file.
func (r Restic) SaveStream(ctx context.Context, repo Repo, name string, in io.Reader, tags []string) (Saved, error) {
	args := []string{"backup", "--json", "--host", "quietroom", "--stdin", "--stdin-filename", name}
	for _, t := range tags {
		args = append(args, "--tag", t)
	}
	return r.save(ctx, repo, in, "", nil, args...)
}

func (r Restic) save(ctx context.Context, repo Repo, in io.Reader, dir string, step func(done, total int64), args ...string) (saved Saved, err error) {
	if !r.At.IsZero() {
		args = append([]string{args[0], "--time", r.At.UTC().Format(time.DateTime)}, args[1:]...)
	}
	lines, out := io.Pipe()
	read := make(chan struct{})
	go func() {
		defer close(read)
		scan := bufio.NewScanner(lines)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			var m struct {
				Type  string `json:"message_type"`
				Done  int64  `json:"bytes_done"`
				Total int64  `json:"total_bytes"`
				Saved
			}
			if json.Unmarshal(scan.Bytes(), &m) != nil {
				continue
			}
			if m.Type == "summary" {
				saved = m.Saved
			} else if m.Type == "status" && step != nil {
				step(m.Done, m.Total)
			}
		}
		io.Copy(io.Discard, lines)
	}()
	err = r.run(ctx, repo, dir, in, out, args...)
	out.Close()
	<-read
	if err == nil && saved.Snapshot == "" {
		err = errors.New("restic backup: it named no snapshot")
	}
	return saved, err
}

// Restore brings a snapshot back into a folder. Nothing less than all of it is a success.
func (r Restic) Restore(ctx context.Context, repo Repo, id, into string) error {
	return r.run(ctx, repo, "", nil, io.Discard, "restore", id, "--target", into, "--no-lock")
}

// Dump writes one file of a snapshot.
func (r Restic) Dump(ctx context.Context, repo Repo, id, path string, w io.Writer) error {
	return r.run(ctx, repo, "", nil, w, "dump", id, path, "--no-lock")
}

// Forget drops snapshots; what only they held lies there until Prune.
func (r Restic) Forget(ctx context.Context, repo Repo, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return r.run(ctx, repo, "", nil, io.Discard, append([]string{"forget"}, ids...)...)
}

// Prune removes what no snapshot holds any more. With all, nothing of it stays;
// without, a twentieth of the repository may stay unused, which is faster.
func (r Restic) Prune(ctx context.Context, repo Repo, all bool) error {
	args := []string{"prune"}
	if all {
		args = append(args, "--max-unused", "0")
	}
	return r.run(ctx, repo, "", nil, io.Discard, args...)
}

// Unlock removes the locks of processes that died.
func (r Restic) Unlock(ctx context.Context, repo Repo) error { return r.short(ctx, repo, "unlock") }

// Size returns how many bytes the repository's data take at their place.
func (r Restic) Size(ctx context.Context, repo Repo) (int64, error) {
	var out bytes.Buffer
	if err := r.run(ctx, repo, "", nil, &out, "stats", "--mode", "raw-data", "--json", "--no-lock"); err != nil {
		return 0, err
	}
	var s struct {
		Size int64 `json:"total_size"`
	}
	return s.Size, json.Unmarshal(out.Bytes(), &s)
}

// short is a command without an answer that has to come soon.
func (r Restic) short(ctx context.Context, repo Repo, args ...string) error {
	return r.hurry(ctx, repo, nil, io.Discard, args...)
}

// hurry bounds the time of a small command: restic tries for a quarter of an
// hour to reach a place that is not there.
func (r Restic) hurry(ctx context.Context, repo Repo, in io.Reader, out io.Writer, args ...string) error {
	reach := r.Reach
	if reach == 0 {
		reach = time.Minute
	}
	soon, cancel := context.WithTimeout(ctx, reach)
	defer cancel()
	err := r.run(soon, repo, "", in, out, args...)
	if err != nil && ctx.Err() == nil && soon.Err() != nil {
		return fmt.Errorf("restic %s: %w within %s", args[0], ErrUnreachable, reach)
	}
	return err
}

func (r Restic) run(ctx context.Context, repo Repo, dir string, in io.Reader, out io.Writer, args ...string) error {
	flags := []string{"--no-cache"}
	env := []string{"RESTIC_REPOSITORY=" + repo.URL, "RESTIC_PROGRESS_FPS=4", "LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "HOME", "SSH_AUTH_SOCK", "SYSTEMROOT", "USERPROFILE"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if r.Dir != "" {
		tmp := r.Dir + string(os.PathSeparator) + "tmp"
		if err := os.MkdirAll(tmp, 0o700); err != nil {
			return fmt.Errorf("restic: %w", err)
		}
		flags = []string{"--cache-dir", r.Dir + string(os.PathSeparator) + "cache"}
		env = append(env, "TMPDIR="+tmp, "TMP="+tmp)
	}
	for _, o := range repo.Options {
		flags = append(flags, "-o", o)
	}
	if r.Up > 0 {
		flags = append(flags, "--limit-upload", strconv.Itoa(r.Up))
	}
	if r.Down > 0 {
		flags = append(flags, "--limit-download", strconv.Itoa(r.Down))
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	c := exec.CommandContext(ctx, r.program(), append(flags, args...)...)
	said := &tail{give: r.Give, giveUp: giveUp}
	c.Dir, c.Stdin, c.Stdout, c.Stderr = dir, in, out, said
	c.Env = append(env, repo.Env...)
	// Asked to end, it takes its lock away; only then it is killed.
	c.Cancel = func() error { return interrupt(c.Process) }
	c.WaitDelay = 10 * time.Second
	if err := givePassword(c, repo.Password); err != nil {
		return fmt.Errorf("restic: %w", err)
	}
	err := runTied(c)
	for _, f := range c.ExtraFiles {
		f.Close()
	}
	if err == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), errTried) {
		err = ErrUnreachable
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return ErrMissing
	}
	text := repo.hide(said.String())
	var code *exec.ExitError
	if errors.As(err, &code) && code.ExitCode() == 3 {
		err = ErrPart
	}
	return fmt.Errorf("restic %s: %w: %s", args[0], reason(text, err), lastLine(text))
}

// reason reads what kind of failure it was. restic 0.14 ends with 1 for all of
// them (3: a file could not be read), and tells them apart in words only.
func reason(text string, err error) error {
	for _, r := range reasons {
		for _, words := range r.words {
			if strings.Contains(text, words) {
				return r.err
			}
		}
	}
	return err
}

var reasons = []struct {
	err   error
	words []string
}{
	{ErrPassword, []string{"wrong password or no key found"}},
	{ErrFull, []string{"no space left on device", "disk quota exceeded", "507 Insufficient Storage", "XMinioStorageFull", "sftp: \"Failure\" (SSH_FX_FAILURE)"}},
	{ErrRefused, []string{"403 Forbidden", "405 Method Not Allowed", "AccessDenied", "Access Denied", "permission denied", "Permission denied (SSH_FX_PERMISSION_DENIED)"}},
	{ErrLocked, []string{"repository is already locked", "unable to create lock"}},
	{ErrUnreachable, []string{"connection refused", "no such host", "i/o timeout", "no route to host", "network is unreachable", "Connection closed", "subprocess ssh", "unable to start the sftp session", "broken pipe", "connection lost", "Host key verification failed", "Connection reset"}},
	{ErrNone, []string{"Is there a repository at the following location"}},
	{ErrDamaged, []string{"ciphertext verification failed", "does not exist", "no such file or directory", "not found", "hash does not match", "There were", "wrong size", "unexpected EOF", "invalid data", "404 Not Found", "file truncated", "decompress"}},
}

// hide takes credentials out of what restic says.
func (p Repo) hide(text string) string {
	for _, e := range p.Env {
		if _, v, ok := strings.Cut(e, "="); ok && len(v) > 3 {
			text = strings.ReplaceAll(text, v, "[secret]")
		}
	}
	return userinfo.ReplaceAllString(text, "://[secret]@")
}

var userinfo = regexp.MustCompile(`://[^/@\s]+@`)

func firstLine(s string) string { l, _, _ := strings.Cut(s, "\n"); return l }

// lastLine is what restic says last that is not about its own retrying.
func lastLine(s string) string {
	last := ""
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" && (last == "" || strings.HasPrefix(l, "Fatal") || !strings.HasPrefix(last, "Fatal")) {
			last = l
		}
	}
	return last
}

// tail keeps the end of what a program says. By itself restic tries for a
// quarter of an hour to write or read one file; one that fails for as long as
// give ends the run, so that the next place gets its turn.
type tail struct {
	b      []byte
	give   time.Duration
	giveUp context.CancelCauseFunc
	first  map[string]time.Time // of each file that is tried again
}

var errTried = errors.New("restic: tried again too often")

var retried = regexp.MustCompile(`(?:Save|Load|Stat|List|Remove)\((.*?)\) returned error, retrying after`)

func (t *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.b = append(t.b, p...)
	if len(t.b) > most {
		t.b = append(t.b[:0], t.b[len(t.b)-most:]...)
	}
	for _, m := range retried.FindAllSubmatch(p, -1) {
		name, now := string(m[1]), time.Now()
		if t.first == nil {
			t.first = map[string]time.Time{}
		}
		began, again := t.first[name]
		if !again {
			t.first[name] = now
			continue
		}
		give := t.give
		if give == 0 {
			give = 2 * time.Minute
		}
		if r := reason(string(p), nil); r == ErrRefused || r == ErrFull {
			give = min(give, 3*time.Second) // asking again does not help
		}
		if now.Sub(began) > give {
			t.giveUp(errTried)
		}
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }
