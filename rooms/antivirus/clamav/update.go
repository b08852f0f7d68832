package clamav

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// updateTime is how long fetching and testing signatures may take.
const updateTime = 20 * time.Minute

// ErrMirror means that the address of a private mirror is not one.
var ErrMirror = errors.New("clamav: a private mirror is named by http:// or https://, a host, and nothing secret")

// CheckMirror tells whether a text names a mirror. It becomes one line of a
// settings file.
func CheckMirror(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != text {
		return ErrMirror
	}
	for _, c := range text {
		if c <= ' ' || c > '~' || c == '"' || c == '\'' {
			return ErrMirror
		}
	}
	return nil
}

// Update fetches signatures with freshclam, which checks who signed them, and
// has the engine load them. What was here stays where anything fails.
func (e *Engine) Update(ctx context.Context) (Outcome, error) {
	program := e.fetcher()
	if program == "" {
		return NoProgram, nil
	}
	if e.Mirror != "" {
		if err := CheckMirror(e.Mirror); err != nil {
			return Unclear, err
		}
	}
	if err := e.prepare(); err != nil {
		return Unclear, err
	}
	dir, err := memoryDir()
	if err != nil {
		return Unclear, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	before := e.onDisk()
	out, code, err := e.fetch(ctx, program, dir)
	if err != nil {
		return Unclear, err
	}
	o := ParseUpdate(out, code)
	if e.onDisk() == before && o != Updated {
		return o, nil
	}
	return e.load(ctx, o)
}

// load starts the engine anew with what lies on disk, and looks whether it has it.
func (e *Engine) load(ctx context.Context, o Outcome) (Outcome, error) {
	e.mu.Lock()
	e.refused, e.why = "", nil
	e.stop()
	e.mu.Unlock()
	if !e.Installed() {
		return o, nil
	}
	want := e.onDisk()
	if s := e.Check(ctx); s.Err != nil || s.Refused != "" || s.Number < want {
		return Refused, s.Err
	}
	return o, nil
}

func (e *Engine) fetch(ctx context.Context, program, dir string) (out string, code int, err error) {
	settings := filepath.Join(dir, "freshclam.conf")
	text := "DatabaseDirectory /proc/self/fd/3\nForeground yes\nConnectTimeout 30\nReceiveTimeout 300\nMaxAttempts 2\nTestDatabases yes\nCompressLocalDatabase no\n"
	if e.Mirror != "" {
		text += "PrivateMirror " + e.Mirror + "\n"
	} else {
		text += "DNSDatabaseInfo current.cvd.clamav.net\nDatabaseMirror database.clamav.net\n"
	}
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil { //nolint:gosec // holds no secret
		return "", 0, err
	}
	folder, err := os.Open(e.signatures())
	if err != nil {
		return "", 0, err
	}
	defer folder.Close()
	if err := giveAway(dir); err != nil {
		return "", 0, err
	}
	said := &tail{}
	program, args := bounded(e.Memory, program, "--config-file="+settings, "--stdout")
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // Debian's freshclam
	cmd.ExtraFiles = []*os.File{folder}
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, proxies()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.WaitDelay = 5 * time.Second
	confine(cmd)
	if err := cmd.Start(); err != nil {
		return "", 0, fmt.Errorf("start freshclam: %w", err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return said.String(), exit.ExitCode(), nil // -1 where it was killed
	}
	return said.String(), 0, err
}

// proxies are the practice's own ways out.
func proxies() (env []string) {
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
