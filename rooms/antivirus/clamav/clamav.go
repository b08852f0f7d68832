// Package clamav starts, feeds and watches Debian's clamd, the engine that looks
// through files for malware.
//
// The engine takes strangers' files apart, so it is a stranger itself: it runs
// under a user of its own where the program is root, with bounded memory, speaks
// over a socket in a folder of its own, and keeps its temporary files in memory
// only. It may be killed, hang, or lose its signatures at any moment: whatever is
// not plainly its "OK" for exactly these bytes is Unscanned, never Clean.
package clamav

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Errors of an engine that cannot be used. Their texts say what to do.
var (
	ErrMissing       = errors.New("no virus scanner on this machine; install Debian's packages: apt-get install clamav-daemon clamav-freshclam")
	ErrNoMemoryPlace = errors.New("this system has no place in memory for the scanner's temporary files (wanted: tmpfs at /dev/shm); files stay not scanned")
	ErrBlind         = errors.New("the scanner runs, and does not see the standard test file")
)

// Largest stream that the engine takes, in bytes, and what else bounds its work.
const (
	MostBytes   = 100 << 20
	mostScanned = 200 << 20 // of everything that is unpacked from one file
	mostDeep    = 17        // archives in archives
	mostFiles   = 10_000    // in one archive
	maxScanTime = 30 * time.Second
	mostStreams = 8 // at a time: what comes is kept in memory until it is looked through
)

// DefaultMemory is how much data the engine may hold: the official signatures
// take about 1.2 GiB, and the work itself some more.
const DefaultMemory = 3 << 30

// Config is what an Engine needs.
type Config struct {
	Dir    string           // where signatures lie; made if it is not there
	Mirror string           // address of a private mirror, or empty for the public one
	Memory uint64           // bytes of data that the engine may hold; DefaultMemory if 0
	Now    func() time.Time // time.Now if nil
	Log    *slog.Logger     // discards if nil

	Daemon, Fetcher string // clamd and freshclam; looked for where Debian puts them if empty
}

// Engine is one clamd under watch. See New.
type Engine struct {
	Config
	streams chan struct{} // how many files are on their way in
	slots   chan struct{} // how many are looked through; one thread more answers pings

	mu      sync.Mutex
	proc    *process
	failed  time.Time // when it did not start
	why     error
	refused string // a signature file that it did not load
	closed  bool
}

// New makes an engine. Nothing runs until it is needed.
func New(c Config) *Engine {
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{Config: c, streams: make(chan struct{}, mostStreams), slots: make(chan struct{}, max(2, runtime.NumCPU()))}
}

// Installed tells whether there is a clamd at all.
func (e *Engine) Installed() bool { return e.daemon() != "" }

func (e *Engine) daemon() string  { return find(e.Daemon, "clamd") }
func (e *Engine) fetcher() string { return find(e.Fetcher, "freshclam") }

// find looks for a program where PATH and Debian have it.
func find(given, name string) string {
	if given != "" {
		if _, err := exec.LookPath(given); err != nil {
			return ""
		}
		return given
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// Scan looks through r. It reads r to its end whatever happens, so that the same
// bytes can be sealed meanwhile; the error is r's own.
func (e *Engine) Scan(ctx context.Context, r io.Reader) (Answer, error) {
	if !e.Installed() {
		return drain(Answer{Why: Missing}, r)
	}
	if !take(ctx, e.streams) {
		return drain(Answer{Why: TooLong}, r)
	}
	defer func() { <-e.streams }()
	p, err := e.running(ctx)
	if err != nil {
		return drain(Answer{Why: reason(err)}, r)
	}
	last := &lastWord{Reader: r, before: func() bool { return take(ctx, e.slots) }}
	a, err := scan(ctx, p.socket, last)
	if last.taken {
		<-e.slots
	}
	if err == nil && a.Kind == Unscanned && (a.Why == Down || a.Why == TooLong) {
		e.look(ctx, p)
	}
	return a, err
}

func reason(err error) string {
	if errors.Is(err, ErrMissing) {
		return Missing
	}
	return Down
}

// patience is how long a file waits for its turn.
const patience = 30 * time.Second

func take(ctx context.Context, places chan struct{}) bool {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case places <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// lastWord waits for a slot before it tells that the stream has ended: until
// then the engine only receives.
type lastWord struct {
	io.Reader
	before func() bool
	taken  bool
}

func (l *lastWord) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if errors.Is(err, io.EOF) && !l.taken {
		l.taken = l.before()
	}
	return n, err
}

// look pings an engine that did not answer, and ends one that hangs.
func (e *Engine) look(ctx context.Context, p *process) {
	if pongs(ctx, p.socket) || ctx.Err() != nil {
		return
	}
	e.Log.WarnContext(ctx, "the virus scanner does not answer and is started anew")
	p.kill()
}

// running returns a clamd that answers, and starts one where there is none.
func (e *Engine) running(ctx context.Context) (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrMissing
	}
	if e.proc != nil {
		select {
		case <-e.proc.done:
			e.proc.remove()
			e.proc = nil
		default:
			return e.proc, nil
		}
	}
	if e.why != nil && time.Since(e.failed) < 5*time.Second { // not again at once
		return nil, e.why
	}
	e.proc, e.why = e.start(ctx)
	if e.why != nil {
		e.failed = time.Now()
		e.Log.WarnContext(ctx, "the virus scanner does not start", "err", e.why)
	}
	return e.proc, e.why
}

// start starts clamd. Signature files that it cannot load are put aside, so that
// one bad file does not leave the house without a scanner; State tells which.
func (e *Engine) start(ctx context.Context) (*process, error) {
	for range 4 {
		p, err := e.tryStart(ctx)
		bad, malformed := errors.AsType[*malformedError](err)
		if !malformed || bad.file == ownFile {
			return p, err
		}
		if err := e.putAside(bad.file); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("start the scanner: one signature file after the other cannot be loaded")
}

func (e *Engine) putAside(name string) error {
	aside := filepath.Join(e.Dir, "refused")
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	e.refused = name
	return os.Rename(filepath.Join(e.signatures(), name), filepath.Join(aside, name))
}

func (e *Engine) signatures() string { return filepath.Join(e.Dir, "signatures") }

// prepare makes the folder with signatures.
func (e *Engine) prepare() error {
	if err := os.MkdirAll(e.signatures(), 0o700); err != nil {
		return fmt.Errorf("make a folder for signatures: %w", err)
	}
	if err := writeOwn(e.signatures()); err != nil {
		return fmt.Errorf("write the first signature: %w", err)
	}
	return errors.Join(giveAway(e.signatures()), giveAway(filepath.Join(e.signatures(), ownFile)))
}

// process is one clamd.
type process struct {
	cmd    *exec.Cmd
	dir    string // in memory: its settings, socket and temporary files
	socket string
	said   *tail
	done   chan struct{}
}

// kill ends it and waits for its end.
func (p *process) kill() {
	end(p.cmd)
	<-p.done
}

func (p *process) remove() { os.RemoveAll(p.dir) }

// malformedError names a signature file that cannot be loaded.
type malformedError struct{ file string }

func (m *malformedError) Error() string {
	return "the scanner cannot load the signature file " + m.file
}

// startTime is how long loading signatures may take.
const startTime = 3 * time.Minute

func (e *Engine) tryStart(ctx context.Context) (*process, error) {
	program := e.daemon()
	if program == "" {
		return nil, ErrMissing
	}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	dir, err := memoryDir()
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, socket: filepath.Join(dir, "clamd.sock"), said: &tail{}, done: make(chan struct{})}
	if err := e.launch(program, p); err != nil {
		p.remove()
		return nil, err
	}
	deadline := time.After(startTime)
	for {
		if pongs(ctx, p.socket) {
			return p, nil
		}
		select {
		case <-p.done:
			p.remove()
			return nil, p.said.fault()
		case <-ctx.Done():
			p.kill()
			p.remove()
			return nil, ctx.Err()
		case <-deadline:
			p.kill()
			p.remove()
			return nil, errors.New("start the scanner: it does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (e *Engine) launch(program string, p *process) error {
	temporary, settings := filepath.Join(p.dir, "tmp"), filepath.Join(p.dir, "clamd.conf")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(settings, []byte(e.settings(p.socket, temporary)), 0o644); err != nil { //nolint:gosec // holds no secret
		return err
	}
	for _, path := range []string{p.dir, temporary} {
		if err := giveAway(path); err != nil {
			return err
		}
	}
	folder, err := os.Open(e.signatures())
	if err != nil {
		return err
	}
	defer folder.Close()
	program, args := bounded(e.Memory, program, "--config-file="+settings)
	cmd := exec.Command(program, args...) //nolint:gosec // Debian's clamd
	cmd.ExtraFiles = []*os.File{folder}   // its user may not walk through the house to get there
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TMPDIR=" + temporary}
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = p.said, p.said
	confine(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the scanner: %w", err)
	}
	p.cmd = cmd
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return nil
}

// settings are all of clamd's that differ from its own (clamd.conf(5)). An
// archive that is too large, too deep or locked is an alert: by default clamd
// says "OK" to it.
func (e *Engine) settings(socket, temporary string) string {
	return fmt.Sprintf(`Foreground yes
LocalSocket %s
LocalSocketMode 600
FixStaleSocket yes
DatabaseDirectory /proc/self/fd/3
TemporaryDirectory %s
LeaveTemporaryFiles no
MaxThreads %d
MaxQueue 64
MaxConnectionQueueLength 64
CommandReadTimeout 300
ReadTimeout 300
SelfCheck 0
StreamMaxLength %d
MaxFileSize %d
MaxScanSize %d
MaxScanTime %d
MaxRecursion %d
MaxFiles %d
AlertEncrypted yes
AlertOLE2Macros yes
AlertExceedsMax yes
ConcurrentDatabaseReload no
`, socket, temporary, cap(e.slots)+1, MostBytes, MostBytes, mostScanned, maxScanTime.Milliseconds(), mostDeep, mostFiles)
}

// memoryDir makes a folder in memory, and removes those that a killed program
// left: what lies in them was somebody's file.
func memoryDir() (string, error) {
	place, err := memory()
	if err != nil {
		return "", err
	}
	old, _ := filepath.Glob(filepath.Join(place, "quietroom-scan-*"))
	for _, dir := range old {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "quietroom-scan-%d-", &pid); err == nil && !alive(pid) {
			os.RemoveAll(dir)
		}
	}
	dir := filepath.Join(place, fmt.Sprintf("quietroom-scan-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:10])))
	return dir, os.Mkdir(dir, 0o700)
}

// Close ends the engine for good.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.stop()
	return nil
}

// stop ends clamd. The caller holds the lock.
func (e *Engine) stop() {
	if e.proc == nil {
		return
	}
	e.proc.kill()
	e.proc.remove()
	e.proc = nil
}

// Pid is the process number of the running engine, or 0: for the operator, and
// for whoever tries what happens when it dies.
func (e *Engine) Pid() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc == nil {
		return 0
	}
	return e.proc.cmd.Process.Pid
}

// tail keeps the last of what a program printed: never shown, only looked
// through for what is known.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const mostSaid = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - mostSaid; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// fault is why clamd ended.
func (t *tail) fault() error {
	text := t.String()
	if name := unloaded(text); name != "" {
		return &malformedError{name}
	}
	if strings.Contains(text, "allocate memory") || strings.Contains(text, "CL_EMEM") || strings.Contains(text, "Out of memory") {
		return errors.New("start the scanner: the memory it may have is too small for its signatures")
	}
	return errors.New("start the scanner: it ended at once")
}

// unloaded finds the name of a signature file that could not be loaded.
func unloaded(text string) string {
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, "Can't load ")
		if !ok || strings.Contains(line, "allocate memory") {
			continue
		}
		path, _, ok := strings.Cut(rest, ": ")
		name := filepath.Base(path)
		if ok && strings.Contains(path, "/") && name == safeFile(name) {
			return name
		}
	}
	return ""
}

func safeFile(name string) string {
	if name == "." || name == ".." || strings.ContainsAny(name, "/\\") || len(name) > 100 {
		return ""
	}
	return name
}

// seen are the two halves of a test of the engine's eyes.
func (e *Engine) seen(ctx context.Context) error {
	a, err := e.Scan(ctx, bytes.NewReader(TestFile()))
	if err != nil {
		return err
	}
	if a.Kind != Found {
		return fmt.Errorf("%w: %s", ErrBlind, a.Why)
	}
	if a, err = e.Scan(ctx, strings.NewReader("Nothing is in here.")); err != nil {
		return err
	}
	if a.Kind != Clean {
		return fmt.Errorf("the scanner finds %s%s where nothing is", a.Name, a.Why)
	}
	return nil
}
